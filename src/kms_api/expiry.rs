//! How near the end of a certificate is: said at 30, 7 and 1 days, by everybody who sees one, and in the same words.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

/// A certificate that ends soon, or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// In 30 days or less.
    InThirtyDays,
    /// In 7 days or less.
    InSevenDays,
    /// In a day or less.
    InOneDay,
    /// It has.
    Expired,
}

impl Expiry {
    /// How near `not_after` is at `now`; `None` if that is more than 30 days away.
    #[must_use]
    pub fn at(not_after: OffsetDateTime, now: OffsetDateTime) -> Option<Self> {
        let left = not_after - now;
        if left < Duration::ZERO {
            Some(Self::Expired)
        } else if left <= Duration::DAY {
            Some(Self::InOneDay)
        } else if left <= Duration::days(7) {
            Some(Self::InSevenDays)
        } else if left <= Duration::days(30) {
            Some(Self::InThirtyDays)
        } else {
            None
        }
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::InThirtyDays => "expires in 30 days or less",
            Self::InSevenDays => "expires in 7 days or less",
            Self::InOneDay => "expires in a day or less",
            Self::Expired => "has expired",
        })
    }
}

/// Whether a certificate of that life is to be renewed at `now`: less than a third of it is left.
#[must_use]
pub fn is_renewal_due(not_before: OffsetDateTime, not_after: OffsetDateTime, now: OffsetDateTime) -> bool {
    not_after - now < (not_after - not_before) / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_said_at_thirty_seven_and_one_days() {
        let end = OffsetDateTime::UNIX_EPOCH + Duration::days(10_000);
        for (before, said) in [
            (Duration::days(30) + Duration::SECOND, None),
            (Duration::days(30), Some(Expiry::InThirtyDays)),
            (Duration::days(7) + Duration::SECOND, Some(Expiry::InThirtyDays)),
            (Duration::days(7), Some(Expiry::InSevenDays)),
            (Duration::DAY, Some(Expiry::InOneDay)),
            (Duration::ZERO, Some(Expiry::InOneDay)),
            (-Duration::SECOND, Some(Expiry::Expired)),
        ] {
            assert_eq!(Expiry::at(end, end - before), said, "{before}");
        }
        assert!(Expiry::InThirtyDays < Expiry::Expired, "the worse the later");
    }

    #[test]
    fn a_certificate_is_renewed_in_the_last_third_of_its_life() {
        let (begin, end) = (
            OffsetDateTime::UNIX_EPOCH,
            OffsetDateTime::UNIX_EPOCH + Duration::days(90),
        );
        assert!(!is_renewal_due(begin, end, begin + Duration::days(60)));
        assert!(is_renewal_due(begin, end, begin + Duration::days(61)));
        assert!(is_renewal_due(begin, end, end + Duration::DAY));
    }
}
