//! Shares of a whole, from 0 to 100 percent, without floats.
//!
//! Istio writes them as a message (`percentage: {value: 0.1}`) or as a plain number
//! (`percent: 0.1`); the type is the same, [`number`] reads the second form.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::decimal::Decimal;

/// A share, kept to the millionth of the whole (a ten-thousandth of a percent), as Envoy does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u32);

const WHOLE_MILLIONTHS: u32 = 1_000_000;

impl Percent {
    /// All of it.
    pub const WHOLE: Self = Self(WHOLE_MILLIONTHS);

    /// A share in basis points, hundredths of a percent; more than 10,000 counts as all.
    pub const fn from_basis_points(basis_points: u32) -> Self {
        if basis_points > 10_000 {
            Self::WHOLE
        } else {
            Self(basis_points * 100)
        }
    }

    /// The share in basis points, hundredths of a percent, rounded down.
    pub const fn basis_points(self) -> u32 {
        self.0 / 100
    }

    /// The share in millionths of the whole, Envoy's finest denominator.
    pub const fn millionths(self) -> u32 {
        self.0
    }

    fn from_percent(number: Decimal) -> Option<Self> {
        let millionths = u32::try_from(number.millionths() / 100).ok()?;
        (number.millionths() >= 0 && number.millionths() <= 100_000_000).then_some(Self(millionths))
    }

    fn percent(self) -> Decimal {
        Decimal::from_millionths(i64::from(self.0) * 100)
    }

    fn checked<E: de::Error>(number: Decimal) -> Result<Self, E> {
        Self::from_percent(number)
            .ok_or_else(|| E::custom(format_args!("percentage {number} is not within 0 and 100")))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.percent())
    }
}

/// How a [`Percent`] looks on the wire.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename = "Percent", default)]
struct Message {
    value: Decimal,
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Message {
            value: self.percent(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::checked(Message::deserialize(deserializer)?.value)
    }
}

/// The plain-number form, for `#[serde(with)]` on an `Option<Percent>`.
pub(crate) mod number {
    use super::{Decimal, Deserialize, Deserializer, Percent, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        percent: &Option<Percent>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        percent.map(Percent::percent).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Percent>, D::Error> {
        Option::<Decimal>::deserialize(deserializer)?
            .map(Percent::checked)
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_shares_survive() {
        let percent: Percent = serde_json::from_str(r#"{"value": 0.05}"#).unwrap();
        assert_eq!(percent.basis_points(), 5);
        assert_eq!(percent.millionths(), 500);
        assert_eq!(percent.to_string(), "0.05%");
    }

    #[test]
    fn shares_beyond_the_whole_are_refused() {
        for json in [r#"{"value": 100.5}"#, r#"{"value": -1}"#] {
            assert!(serde_json::from_str::<Percent>(json).is_err());
        }
    }
}
