//! Tests of reading scalars.

use proptest::prelude::{any, proptest};

use staffa_domain::error::RecordErrorCode::{OutOfRange, TypeMismatch};
use staffa_domain::record::Timestamp;
use staffa_domain::schema::{DecimalSize, PropertyType};

use super::{
    parse_boolean, parse_date, parse_datetime, parse_decimal, parse_integer, parse_number,
    parse_scalar, parse_uuid,
};

#[test]
fn integers_are_exact() {
    for (text, expected) in [
        ("0", 0),
        ("-0", 0),
        ("007", 7),
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
        ("9223372036854775807.000", i64::MAX),
        ("9.223372036854775807e18", i64::MAX),
        ("-922337203685477580800e-2", i64::MIN),
        ("1.50e1", 15),
        ("0e999999999999", 0),
        ("0.000", 0),
    ] {
        assert_eq!(parse_integer(text), Ok(expected), "{text}");
    }
    for (text, code) in [
        ("", TypeMismatch),
        ("-", TypeMismatch),
        ("+1", TypeMismatch),
        (" 1", TypeMismatch),
        ("1 ", TypeMismatch),
        ("1.", TypeMismatch),
        (".1", TypeMismatch),
        ("1e", TypeMismatch),
        ("0x10", TypeMismatch),
        ("1_0", TypeMismatch),
        ("\u{0661}", TypeMismatch),
        ("1.5", TypeMismatch),
        ("1e-1", TypeMismatch),
        ("9223372036854775808", OutOfRange),
        ("-9223372036854775809", OutOfRange),
        ("18446744073709551616", OutOfRange),
        ("1e19", OutOfRange),
        ("1e2147483648", OutOfRange),
        ("99999999999999999999999999999999999999999999", OutOfRange),
    ] {
        assert_eq!(parse_integer(text).unwrap_err().code, code, "{text}");
    }
}

#[test]
fn numbers_are_finite() {
    for (text, expected) in [
        ("0", 0.0),
        ("1e23", 1e23),
        ("9007199254740993", 9_007_199_254_740_992.0),
        ("0.1", 0.1),
        ("5e-324", 5e-324),
        ("2e-400", 0.0),
        ("0.1e-9999999999", 0.0),
        ("1.7976931348623157e308", f64::MAX),
        (
            "123456789012345678901234567890",
            123_456_789_012_345_678_901_234_567_890.0,
        ),
    ] {
        let number = parse_number(text).unwrap();
        assert_eq!(number.to_bits(), f64::to_bits(expected), "{text}");
    }
    assert_eq!(parse_number("-0").unwrap().to_bits(), (-0.0_f64).to_bits());
    for text in ["1e309", "-1e309", "1e99999999999"] {
        assert_eq!(parse_number(text).unwrap_err().code, OutOfRange, "{text}");
    }
    for text in [
        "", "NaN", "inf", "Infinity", "+1", "1.", ".5", "1e+", "1,5", "0x1p3",
    ] {
        assert_eq!(parse_number(text).unwrap_err().code, TypeMismatch, "{text}");
    }
}

#[test]
fn decimals_have_their_size() {
    let size = |precision, scale| DecimalSize { precision, scale };
    for (text, size, expected) in [
        ("1.5", size(5, 2), 150),
        ("-0.05", size(5, 2), -5),
        ("999.99", size(5, 2), 99_999),
        (
            "1.500000000000000000000000000000000000000000000",
            size(5, 2),
            150,
        ),
        ("1e2", size(5, 2), 10_000),
        ("12345e-2", size(5, 2), 12_345),
        ("5", size(1, 0), 5),
    ] {
        assert_eq!(parse_decimal(text, size), Ok(expected), "{text}");
    }
    let most = "9".repeat(38);
    assert_eq!(parse_decimal(&most, size(38, 0)), Ok(10_i128.pow(38) - 1));
    for (text, code) in [
        ("1.234", OutOfRange),
        ("1000", OutOfRange),
        ("-1000", OutOfRange),
        ("1e100", OutOfRange),
        ("1e-3", OutOfRange),
        ("abc", TypeMismatch),
        ("", TypeMismatch),
        ("1.2.3", TypeMismatch),
    ] {
        assert_eq!(
            parse_decimal(text, size(5, 2)).unwrap_err().code,
            code,
            "{text}"
        );
    }
}

#[test]
fn dates_are_of_the_calendar() {
    for (text, expected) in [
        ("1970-01-01", 0),
        ("1969-12-31", -1),
        ("2000-02-29", 11_016),
        ("0001-01-01", -719_162),
        ("9999-12-31", 2_932_896),
    ] {
        assert_eq!(parse_date(text), Ok(expected), "{text}");
    }
    for (text, code) in [
        ("1900-02-29", OutOfRange),
        ("2013-04-31", OutOfRange),
        ("2013-13-01", OutOfRange),
        ("2013-00-01", OutOfRange),
        ("2013-01-00", OutOfRange),
        ("0000-01-01", OutOfRange),
        ("2013-1-01", TypeMismatch),
        ("2013/01/01", TypeMismatch),
        ("20130101", TypeMismatch),
        ("2013-01-01 ", TypeMismatch),
        ("-013-01-01", TypeMismatch),
        ("", TypeMismatch),
    ] {
        assert_eq!(parse_date(text).unwrap_err().code, code, "{text}");
    }
}

#[test]
fn moments_are_utc() {
    for (text, expected) in [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00z", 0),
        ("1970-01-01 00:00:00", 0),
        ("1970-01-01T00:00:00.5", 500_000),
        ("1970-01-01T00:00:00.0000019Z", 1),
        ("1970-01-01T01:30:00+01:30", 0),
        ("1969-12-31T23:59:59.999999-00:00", -1),
        ("1969-12-31T20:00:00-04:00", 0),
        ("2013-01-01T10:00:00.000001Z", 1_357_034_400_000_001),
        // Leap seconds are the seconds that follow them.
        ("1969-12-31T23:59:60Z", 0),
        ("1969-12-31T23:59:60.25Z", 250_000),
        ("1969-12-31T15:59:60-08:00", 0),
        ("1970-01-01T05:29:60+05:30", 0),
        ("1969-12-31 23:59:60", 0),
    ] {
        assert_eq!(
            parse_datetime(text),
            Ok(Timestamp::from_micros(expected)),
            "{text}"
        );
    }
    for (text, code) in [
        ("2013-02-30T00:00:00Z", OutOfRange),
        ("2013-01-01T24:00:00Z", OutOfRange),
        ("2013-01-01T00:60:00Z", OutOfRange),
        ("2013-01-01T00:00:60Z", OutOfRange),
        ("1998-12-31T22:59:60Z", OutOfRange),
        ("1998-12-31T23:58:60Z", OutOfRange),
        ("1998-12-31T23:59:60+01:00", OutOfRange),
        ("1998-12-31T23:59:61Z", OutOfRange),
        ("9999-12-31T23:59:60Z", OutOfRange),
        ("2013-01-01T00:00:00+24:00", OutOfRange),
        ("0001-01-01T00:00:00+01:00", OutOfRange),
        ("9999-12-31T23:59:59-01:00", OutOfRange),
        ("2013-01-01", TypeMismatch),
        ("2013-01-01T00:00", TypeMismatch),
        ("2013-01-01T00:00:00.", TypeMismatch),
        ("2013-01-01T00:00:00.Z", TypeMismatch),
        ("2013-01-01T00:00:00+0100", TypeMismatch),
        ("2013-01-01T00:00:00 Z", TypeMismatch),
        ("2013-01-01_00:00:00Z", TypeMismatch),
        ("1357034400", TypeMismatch),
        ("", TypeMismatch),
    ] {
        assert_eq!(parse_datetime(text).unwrap_err().code, code, "{text}");
    }
}

#[test]
fn other_scalars_have_one_spelling() {
    assert!(parse_uuid("0189C8DC-0000-7000-8000-00000000000f").is_ok());
    for text in [
        "",
        "0189c8dc0000700080000000000000ff",
        "{0189c8dc-0000-7000-8000-00000000000f}",
        "urn:uuid:0189c8dc-0000-7000-8000-00000000000f",
        "0189c8dc-0000-7000-8000-00000000000g",
        "0189c8dc00-00-7000-8000-00000000000f",
    ] {
        assert_eq!(parse_uuid(text).unwrap_err().code, TypeMismatch, "{text}");
    }
    assert_eq!(
        (parse_boolean("true"), parse_boolean("false")),
        (Ok(true), Ok(false))
    );
    for text in ["", "1", "TRUE", "t", "yes", " true"] {
        assert_eq!(
            parse_boolean(text).unwrap_err().code,
            TypeMismatch,
            "{text}"
        );
    }
    assert!(parse_scalar(&PropertyType::String, "a\0").is_err());
    assert!(parse_scalar(&PropertyType::Object, "{}").is_err());
}

proptest! {
    #[test]
    fn dates_and_moments_agree_with_jiff(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
        let moment = jiff::Timestamp::from_microsecond(micros).unwrap();
        assert_eq!(parse_datetime(moment.to_string()), Ok(Timestamp::from_micros(micros)));
        let date = moment.to_string()[..10].to_owned();
        let days = i32::try_from(micros.div_euclid(86_400_000_000)).unwrap();
        assert_eq!(parse_date(date), Ok(days));
    }

    #[test]
    fn integers_agree_with_std(number in any::<i64>(), text in "-?[0-9]{1,22}") {
        assert_eq!(parse_integer(number.to_string()), Ok(number));
        assert_eq!(parse_integer(&text).ok(), text.parse::<i64>().ok());
    }

    #[test]
    fn numbers_agree_with_std(text in r"-?[0-9]{1,22}(\.[0-9]{1,22})?([eE][+-]?[0-9]{1,3})?") {
        let expected: f64 = text.parse().unwrap();
        match parse_number(&text) {
            Ok(number) => assert_eq!(number.to_bits(), expected.to_bits()),
            Err(_) => assert!(expected.is_infinite()),
        }
    }
}
