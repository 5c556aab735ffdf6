//! CRC-64/XZ, which OSS calls `crc64ecma`: update while bytes pass, and combine what was computed apart.
//!
//! The check value of `123456789` is 11051210869376104954 ("Data verification" page).

use crate::model::Crc64;

/// A CRC-64 under way.
#[derive(Clone)]
pub struct Hasher(crc_fast::Digest);

impl Hasher {
    /// Starts with no bytes seen.
    pub fn new() -> Self {
        Self(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Xz))
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the CRC of all bytes so far.
    pub fn value(&self) -> Crc64 {
        Crc64(self.0.finalize())
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hasher({})", self.value())
    }
}

/// Returns the CRC-64 of `bytes`.
pub fn of(bytes: &[u8]) -> Crc64 {
    Crc64(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Xz, bytes))
}

/// The polynomial of CRC-64/ECMA-182, its bits reflected.
const POLYNOMIAL: u64 = 0xC96C_5795_D787_0F42;
/// The polynomial `1`: bits are reflected, so the highest one is the constant.
const ONE: u64 = 1 << 63;

/// `x` to the power of 2^k modulo [`POLYNOMIAL`], for each k of a number of bits.
static POWERS: [u64; 67] = {
    let mut powers = [ONE >> 1; 67];
    let mut k = 1;
    while k < powers.len() {
        powers[k] = product(powers[k - 1], powers[k - 1]);
        k += 1;
    }
    powers
};

/// Returns the CRC of `A` followed by `B`, from the CRC of each and the length of `B` in bytes.
///
/// Appending n bytes multiplies a CRC by x^8n. A few products instead of the squared matrices of general libraries,
/// which take 60 ms for the sums of 1,000 parts.
pub fn combine(a: Crc64, b: Crc64, len_b: u64) -> Crc64 {
    if len_b == 0 {
        return a;
    }
    // Bytes have 2^3 bits.
    let powers = POWERS[3..].iter().enumerate().filter(|(bit, _)| len_b >> bit & 1 == 1);
    Crc64(powers.fold(a.0, |shifted, (_, power)| product(*power, shifted)) ^ b.0)
}

/// Returns the product of two polynomials modulo [`POLYNOMIAL`].
const fn product(a: u64, mut b: u64) -> u64 {
    let (mut sum, mut bit) = (0, ONE);
    while bit != 0 {
        if a & bit != 0 {
            sum ^= b;
        }
        b = if b & 1 == 1 { (b >> 1) ^ POLYNOMIAL } else { b >> 1 };
        bit >>= 1;
    }
    sum
}

/// Returns the CRC of `len` zero bytes, without reading any: in O(log n).
pub fn of_zeros(len: u64) -> Crc64 {
    let (mut sum, mut unit, mut unit_len, mut left) = (Crc64(0), of(&[0]), 1u64, len);
    while left > 0 {
        if left & 1 == 1 {
            sum = combine(sum, unit, unit_len);
        }
        left >>= 1;
        if left > 0 {
            unit = combine(unit, unit, unit_len);
            unit_len *= 2;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_check_value_is_that_of_the_documentation() {
        assert_eq!(of(b"123456789"), Crc64(11_051_210_869_376_104_954));
        assert_eq!(of(b""), Crc64(0));
        assert_eq!(Hasher::new().value(), Crc64(0));
    }

    #[test]
    fn zeros_need_no_reading() {
        for len in [0, 1, 2, 3, 255, 256, 1000, 65_537] {
            assert_eq!(of_zeros(len), of(&vec![0; len as usize]), "{len}");
        }
    }

    #[test]
    fn the_known_answers_come_out() {
        use base64::Engine as _;
        let vectors = include_str!("../../../tests/data/oss-signature-vectors.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
        let crc = |value: &serde_json::Value| value.as_str().unwrap().parse::<Crc64>().unwrap();
        let (mut sums, mut combined) = (0, 0);
        for vector in vectors["crc64"].as_array().unwrap() {
            let bytes = match vector["data_base64"].as_str() {
                Some(text) => base64::prelude::BASE64_STANDARD.decode(text).unwrap(),
                None => {
                    assert_eq!(vector["data_is"], "1024 zero bytes");
                    vec![0; 1024]
                }
            };
            assert_eq!(bytes.len() as u64, vector["length"].as_u64().unwrap());
            assert_eq!(of(&bytes), crc(&vector["crc64_decimal"]), "{vector}");
            sums += 1;
        }
        for vector in vectors["crc64_combine"].as_array().unwrap() {
            let whole = combine(crc(&vector["crc1"]), crc(&vector["crc2"]), vector["len2"].as_u64().unwrap());
            assert_eq!(whole, crc(&vector["combined"]), "{vector}");
            combined += 1;
        }
        assert_eq!((sums, combined), (7, 4));
    }

    proptest! {
        #[test]
        fn sums_combine_as_in_the_library(a: u64, b: u64, len_b: u64) {
            let expected = crc_fast::checksum_combine(crc_fast::CrcAlgorithm::Crc64Xz, a, b, len_b);
            prop_assert_eq!(combine(Crc64(a), Crc64(b), len_b), Crc64(expected));
        }

        #[test]
        fn pieces_combine_to_the_whole(bytes: Vec<u8>, cut: prop::sample::Index) {
            let (a, b) = bytes.split_at(cut.index(bytes.len() + 1));
            prop_assert_eq!(combine(of(a), of(b), b.len() as u64), of(&bytes));
            let mut hasher = Hasher::new();
            hasher.update(a);
            hasher.update(b);
            prop_assert_eq!(hasher.value(), of(&bytes));
        }
    }
}
