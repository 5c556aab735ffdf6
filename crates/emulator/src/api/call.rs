//! A call's parameters, merged from query and form body.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::ApiRequest;
use super::answer::{Format, Refusal};

/// How a call names and signs itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Everything in parameters, signature included.
    V1,
    /// Action, version, time and signature in headers.
    Acs3,
}

/// A call, read but not yet believed.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) style: Style,
    pub(super) action: String,
    pub(super) version: String,
    pub(super) format: Format,
    pub(super) host: String,
    /// Parameters of the query, decoded.
    pub(super) query: Vec<(String, String)>,
    /// Parameters of a form body, decoded.
    pub(super) form: Vec<(String, String)>,
    /// Both; on a clash the query's value counts.
    params: BTreeMap<String, String>,
    /// Whose call it is, once that is proven; empty for calls that need no key.
    pub(super) access_key: String,
}

impl Call {
    pub(super) fn read(request: &ApiRequest) -> Self {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        let query = pairs(request.uri.query().unwrap_or_default());
        let is_form = header("content-type")
            .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"));
        let form = match std::str::from_utf8(&request.body) {
            Ok(text) if is_form => pairs(text),
            _ => Vec::new(),
        };
        let params: BTreeMap<String, String> = form.iter().chain(&query).cloned().collect();
        let text = |name: &str| params.get(name).cloned().unwrap_or_default();
        // An older SDK of the vendor signs by V1 and names the action in a header as well.
        let by_header = header("authorization").is_some_and(|value| value.starts_with("ACS3-"))
            || (header("x-acs-action").is_some() && text("Action").is_empty());
        let style = if by_header { Style::Acs3 } else { Style::V1 };
        let (action, version, format) = match style {
            Style::Acs3 => (
                header("x-acs-action").unwrap_or_default().to_owned(),
                header("x-acs-version").unwrap_or_default().to_owned(),
                Format::Json,
            ),
            Style::V1 => {
                let json = text("Format").eq_ignore_ascii_case("json");
                (text("Action"), text("Version"), if json { Format::Json } else { Format::Xml })
            }
        };
        let host = header("host").or(request.uri.authority().map(|host| host.as_str())).unwrap_or_default();
        let host = host.to_owned();
        Self { style, action, version, format, host, query, form, params, access_key: String::new() }
    }

    /// Returns a parameter; an empty one counts as absent.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns a parameter as it was sent, maybe empty.
    pub(super) fn sent(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| Refusal::missing(name))
    }

    /// Returns a flag, compared without case: one vendor's SDK sends `True`.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.text(name).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Refusal::malformed("InvalidParameter", name)),
        }
    }

    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        let parse = |text: &str| text.parse().map_err(|_| Refusal::malformed("InvalidParameter", name));
        self.text(name).map(parse).transpose()
    }

    /// Returns the numbers `n` for which a parameter `prefix.n` or `prefix.n.…` is given, in order.
    pub(super) fn indices(&self, prefix: &str) -> Vec<u32> {
        let number = |name: &String| {
            let rest = name.strip_prefix(prefix)?.strip_prefix('.')?;
            rest.split('.').next()?.parse().ok()
        };
        let mut found: Vec<u32> = self.params.keys().filter_map(number).filter(|n| *n > 0).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Returns the values of `prefix.1`, `prefix.2`, ….
    pub(super) fn list(&self, prefix: &str) -> Vec<&str> {
        self.indices(prefix).iter().filter_map(|n| self.text(&format!("{prefix}.{n}"))).collect()
    }

    /// Returns the ids of a parameter that is a JSON array of at most 100; nothing if it is not given.
    pub(super) fn ids(
        &self,
        name: &str,
        malformed: impl FnOnce() -> Refusal,
    ) -> Result<Option<Vec<String>>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let ids = serde_json::from_str::<Vec<String>>(text).ok().filter(|ids| ids.len() <= 100);
        ids.map(Some).ok_or_else(malformed)
    }

    /// Returns all that makes two calls the same, but for their ClientToken: only business parameters.
    pub(super) fn fingerprint(&self) -> String {
        const COMMON: [&str; 11] = [
            "AccessKeyId",
            "ClientToken",
            "Format",
            "SecurityToken",
            "Signature",
            "SignatureMethod",
            "SignatureNonce",
            "SignatureType",
            "SignatureVersion",
            "Timestamp",
            "Version",
        ];
        let business = self.params.iter().filter(|(name, _)| !COMMON.contains(&name.as_str()));
        let business: Vec<(&String, &String)> = business.filter(|(name, _)| *name != "Action").collect();
        serde_json::to_string(&business).expect("pairs of text have no reason to fail")
    }

    /// Returns the page that a list is asked for: number from 1, and size.
    pub(super) fn page(&self) -> Result<(usize, usize), Refusal> {
        let number = self.number::<usize>("PageNumber")?.unwrap_or(1).max(1);
        let size = self.number::<usize>("PageSize")?.unwrap_or(10);
        if !(1..=100).contains(&size) {
            return Err(Refusal::malformed("InvalidParameter", "PageSize"));
        }
        Ok((number, size))
    }
}

/// Decodes `a=b&c=d`, where `+` is a space.
fn pairs(text: &str) -> Vec<(String, String)> {
    let split = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    };
    text.split('&').filter(|pair| !pair.is_empty()).map(split).collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match (byte, digits.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(value)) => {
                bytes.push(value);
                rest = &tail[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(byte),
        }
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Method};

    use super::*;

    /// Returns a V1 call with this query.
    pub(crate) fn call(query: &str) -> Call {
        Call::read(&request(query, ""))
    }

    pub(crate) fn request(query: &str, form: &str) -> ApiRequest {
        let mut headers = HeaderMap::new();
        headers.insert("host", "127.0.0.1:9000".parse().unwrap());
        headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
        ApiRequest {
            method: Method::POST,
            uri: format!("/?{query}").parse().unwrap(),
            headers,
            body: Bytes::copy_from_slice(form.as_bytes()),
            request_id: "00000000-0000-4000-8000-000000000000".to_owned(),
            now: "2025-01-01T00:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn query_and_form_are_merged_and_the_query_counts() {
        let call =
            Call::read(&request("Action=ImportImage&A=1&Empty=", "A=2&B=x+y%2B%E9%95%9C&Version=2014-05-26"));
        assert_eq!((call.style, call.action.as_str()), (Style::V1, "ImportImage"));
        assert_eq!((call.text("A"), call.text("B")), (Some("1"), Some("x y+镜")));
        assert_eq!((call.text("Empty"), call.sent("Empty")), (None, Some("")));
        assert_eq!(call.format, Format::Xml);
        assert_eq!(call.version, "2014-05-26");
    }

    #[test]
    fn a_name_in_the_header_makes_it_acs3() {
        let mut request = request("RegionId=cn-hangzhou", "");
        request.headers.insert("x-acs-action", "CancelTask".parse().unwrap());
        request.headers.insert("x-acs-version", "2014-05-26".parse().unwrap());
        let call = Call::read(&request);
        assert_eq!(
            (call.style, call.action.as_str(), call.format),
            (Style::Acs3, "CancelTask", Format::Json)
        );
    }

    #[test]
    fn numbered_parameters_are_found_in_order() {
        let call =
            call("Tag.10.Key=c&Tag.2.Key=b&Tag.2.Value=v&Tag.x.Key=n&Tags.1=n&Tag.0.Key=z&AddAccount.1=7");
        assert_eq!(call.indices("Tag"), [2, 10]);
        assert_eq!(call.list("AddAccount"), ["7"]);
    }

    #[test]
    fn flags_and_numbers_are_checked() {
        let call = call("A=True&B=no&C=12&D=x&PageSize=101");
        assert_eq!(call.flag("A"), Ok(true));
        assert_eq!(call.flag("Z"), Ok(false));
        assert!(call.flag("B").is_err());
        assert_eq!(call.number::<u32>("C"), Ok(Some(12)));
        assert!(call.number::<u32>("D").is_err());
        assert!(call.page().is_err());
    }

    #[test]
    fn the_fingerprint_is_of_business_parameters() {
        let of = |query: &str| call(query).fingerprint();
        assert_eq!(of("A=1&SignatureNonce=1&ClientToken=t"), of("SignatureNonce=2&A=1&Timestamp=x"));
        assert_ne!(of("A=1"), of("A=2"));
    }

    #[test]
    fn malformed_escapes_stay_as_they_are() {
        assert_eq!(decode("%zz%4"), "%zz%4");
        assert_eq!(decode("%41%"), "A%");
    }
}
