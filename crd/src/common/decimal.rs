//! Decimal numbers without floats: whole millionths, so that values compare and hash exactly.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(i64);

const MILLION: i64 = 1_000_000;

impl Decimal {
    /// The number that is `millionths` / 1,000,000.
    pub const fn from_millionths(millionths: i64) -> Self {
        Self(millionths)
    }

    /// The number, times 1,000,000.
    pub const fn millionths(self) -> i64 {
        self.0
    }

    /// The nearest decimal; none where the number is not finite or too large.
    fn nearest(number: f64) -> Option<Self> {
        let millionths = (number * 1e6).round();
        // 2^53: beyond it a float no longer tells neighbours apart.
        (millionths.abs() <= 9e15).then_some(Self(millionths as i64))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, fraction) = (self.0.abs() / MILLION, self.0.abs() % MILLION);
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let fraction = format!("{fraction:06}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % MILLION == 0 {
            serializer.serialize_i64(self.0 / MILLION)
        } else {
            serializer.serialize_f64(self.0 as f64 / 1e6)
        }
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Decimal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Decimal, E> {
                Decimal::nearest(number)
                    .ok_or_else(|| E::custom(format_args!("number {number} is out of range")))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Decimal, E> {
                self.visit_f64(number as f64)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Decimal, E> {
                self.visit_f64(number as f64)
            }
        }
        deserializer.deserialize_f64(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_to_the_millionth() {
        for (json, millionths, printed) in [
            ("1", 1_000_000, "1"),
            ("0.1", 100_000, "0.1"),
            ("-2.5", -2_500_000, "-2.5"),
            ("0.0000001", 0, "0"),
        ] {
            let decimal: Decimal = serde_json::from_str(json).unwrap();
            assert_eq!(decimal.millionths(), millionths);
            assert_eq!(decimal.to_string(), printed);
        }
    }

    #[test]
    fn numbers_that_lose_their_value_are_refused() {
        assert!(serde_json::from_str::<Decimal>("1e300").is_err());
    }
}
