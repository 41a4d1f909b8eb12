//! What every record carries besides its properties: identity, times, version.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// A record's identity: a UUID, version 7 (RFC 9562) where Staffa makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId([u8; 16]);

impl RecordId {
    /// Wraps the sixteen bytes in network order.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The sixteen bytes in network order; their order is the order of ids.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<Uuid> for RecordId {
    fn from(value: Uuid) -> Self {
        Self(value.into_bytes())
    }
}

impl From<RecordId> for Uuid {
    fn from(value: RecordId) -> Self {
        Self::from_bytes(value.0)
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(Uuid::from_bytes_ref(&self.0), f)
    }
}

impl FromStr for RecordId {
    type Err = uuid::Error;

    /// Reads the hyphenated form of 36 characters only, in either case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 36 {
            // `Uuid` also reads braces, URNs and bare digits; one spelling is enough on a wire.
            return Err(Uuid::try_parse_ascii(b"").expect_err("an empty text is no uuid"));
        }
        Uuid::try_parse(text).map(Self::from)
    }
}

/// A moment in UTC, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 0001-01-01T00:00:00Z, the earliest moment every engine and format can hold.
    pub const MIN: Self = Self(-62_135_596_800_000_000);
    /// 9999-12-31T23:59:59.999999Z, the latest.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// Wraps microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(moment) => write!(f, "{moment}"),
            Err(_) => write!(f, "{} microseconds", self.0),
        }
    }
}

/// 0001-01-01 as days since 1970-01-01: the earliest date a record may hold.
pub const DATE_MIN: i32 = -719_162;
/// 9999-12-31 as days since 1970-01-01: the latest.
pub const DATE_MAX: i32 = 2_932_896;

/// The four system fields in the order in which every record batch starts with them.
pub mod system {
    /// The record's identity.
    pub const ID: usize = 0;
    /// When it was created.
    pub const CREATED_AT: usize = 1;
    /// When it was last changed; equal to `created_at` until then.
    pub const UPDATED_AT: usize = 2;
    /// One at creation, one more with each change.
    pub const VERSION: usize = 3;
    /// How many system fields there are: where the properties begin.
    pub const COUNT: usize = 4;
    /// Their names on the wire, which no property may take.
    pub const NAMES: [&str; COUNT] = ["id", "created_at", "updated_at", "version"];
}
