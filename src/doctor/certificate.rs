//! Who issued a certificate: what is between here and the service shows by its name. Nothing is verified here; the
//! transport has done that.

/// Object identifiers of a name's parts in DER: organisation (2.5.4.10) and common name (2.5.4.3).
const ORGANISATION: &[u8] = &[0x55, 0x04, 0x0A];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const IDENTIFIER: u8 = 0x06;
/// The explicit tag of a certificate's version.
const VERSION: u8 = 0xA0;
/// Longest name that is repeated, in characters.
const MAX_NAME: usize = 80;

/// Returns the organisation that issued a certificate (RFC 5280, 4.1), or the issuer's common name.
pub(super) fn issuer(der: &[u8]) -> Option<String> {
    let (certificate, _) = element(der, SEQUENCE)?;
    let (signed, _) = element(certificate, SEQUENCE)?;
    let rest = element(signed, VERSION).map_or(signed, |(_, rest)| rest);
    let (_, rest) = element(rest, INTEGER)?;
    let (_, rest) = element(rest, SEQUENCE)?;
    let (name, _) = element(rest, SEQUENCE)?;
    part(name, ORGANISATION).or_else(|| part(name, COMMON_NAME))
}

/// Returns the text of a part of a name.
fn part(mut name: &[u8], wanted: &[u8]) -> Option<String> {
    while let Some((set, rest)) = element(name, SET) {
        let (pair, _) = element(set, SEQUENCE)?;
        let (identifier, value) = element(pair, IDENTIFIER)?;
        if identifier == wanted {
            let (_, text, _) = any(value)?;
            let text = String::from_utf8_lossy(text);
            return Some(text.chars().take(MAX_NAME).collect::<String>().escape_debug().to_string());
        }
        name = rest;
    }
    None
}

/// Returns an element's contents and what follows it, if it has this tag.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, contents, rest) = any(bytes)?;
    (found == tag).then_some((contents, rest))
}

/// Splits off the first element: tag, contents and what follows.
fn any(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(first) {
        short @ 0..=0x7F => (short, rest),
        long => {
            let (digits, rest) =
                rest.split_at_checked(long & 0x7F).filter(|(digits, _)| digits.len() <= 4)?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::DnType;

    use super::*;

    fn issued_by(name: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, text) in name {
            params.distinguished_name.push(kind.clone(), *text);
        }
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_organisation_names_the_issuer_or_else_its_common_name() {
        let all = [
            (DnType::CountryName, "BE"),
            (DnType::CommonName, "GlobalSign GCC R3"),
            (DnType::OrganizationName, "GlobalSign nv-sa"),
        ];
        assert_eq!(issuer(&issued_by(&all)).as_deref(), Some("GlobalSign nv-sa"));
        assert_eq!(issuer(&issued_by(&all[..2])).as_deref(), Some("GlobalSign GCC R3"));
        assert_eq!(issuer(&issued_by(&all[..1])), None);
        assert_eq!(issuer(b"-----BEGIN"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes: Vec<u8>, at: prop::sample::Index, byte: u8) {
            let _ = issuer(&bytes);
            bytes = issued_by(&[(DnType::CommonName, "x")]);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = (issuer(&bytes), issuer(&bytes[..at]));
        }
    }
}
