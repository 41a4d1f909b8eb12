//! Every scalar's text, against independent implementations and as round trips.

use proptest::prelude::{any, proptest};

use staffa_domain::record::Timestamp;
use staffa_domain::schema::{DecimalSize, PropertyType};
use staffa_domain::value::{Value, format_decimal};

use super::{
    push_date, push_datetime, push_decimal, push_json_string, push_number, push_uuid, value_text,
};
use crate::text::parse::parse_scalar;

fn text(push: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    push(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn datetimes_have_a_fraction_only_where_it_is_not_zero() {
    let check = |micros: i64, expected: &str| {
        assert_eq!(text(|out| push_datetime(out, micros)), expected);
    };
    check(0, "1970-01-01T00:00:00Z");
    check(1_357_034_400_000_000, "2013-01-01T10:00:00Z");
    check(1_357_034_400_120_000, "2013-01-01T10:00:00.120000Z");
    check(-1, "1969-12-31T23:59:59.999999Z");
    check(Timestamp::MIN.as_micros(), "0001-01-01T00:00:00Z");
    check(Timestamp::MAX.as_micros(), "9999-12-31T23:59:59.999999Z");
    check(951_782_400_000_000, "2000-02-29T00:00:00Z");
}

#[test]
fn numbers_are_json_and_keep_their_point() {
    let check = |value: f64, expected: &str| {
        assert_eq!(text(|out| push_number(out, value)), expected);
    };
    check(1.0, "1.0");
    check(-0.0, "-0.0");
    check(0.1, "0.1");
    check(f64::NAN, "null");
    for value in [
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        1e21,
        1e-7,
        123_456_789.125,
    ] {
        let written = text(|out| push_number(out, value));
        let read: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert_eq!(
            read.as_f64().unwrap().to_bits(),
            value.to_bits(),
            "{written}"
        );
    }
}

#[test]
fn decimals_have_exactly_their_scale() {
    let check = |unscaled: i128, scale: i8, expected: &str| {
        assert_eq!(text(|out| push_decimal(out, unscaled, scale)), expected);
    };
    check(0, 0, "0");
    check(0, 2, "0.00");
    check(5, 2, "0.05");
    check(-5, 2, "-0.05");
    check(100, 2, "1.00");
    check(-12_345, 3, "-12.345");
    check(i128::MAX, 38, "1.70141183460469231731687303715884105727");
    check(i128::MIN, 0, "-170141183460469231731687303715884105728");
}

#[test]
fn strings_are_escaped_where_json_demands_it() {
    let check = |value: &str, expected: &str| {
        assert_eq!(text(|out| push_json_string(out, value)), expected);
    };
    check("", r#""""#);
    check("plain", r#""plain""#);
    check("é😀\u{7f}\u{2028}/", "\"é😀\u{7f}\u{2028}/\"");
    check("a\"b\\c", r#""a\"b\\c""#);
    check("\n\r\t\u{8}\u{c}\u{1}\u{1f}", r#""\n\r\t\b\f\u0001\u001f""#);
}

proptest! {
    #[test]
    fn strings_read_back(value in any::<String>()) {
        let written = text(|out| push_json_string(out, &value));
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), value);
        assert_eq!(written, serde_json::to_string(&value).unwrap());
    }

    #[test]
    fn doubles_read_back_bit_by_bit(value in any::<f64>()) {
        if value.is_finite() {
            let written = text(|out| push_number(out, value));
            assert_eq!(written.parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }

    #[test]
    fn dates_and_times_agree_with_jiff(
        micros in Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros(),
    ) {
        let written = text(|out| push_datetime(out, micros));
        let read: jiff::Timestamp = written.parse().unwrap();
        assert_eq!(read.as_microsecond(), micros);
        let days = i32::try_from(micros.div_euclid(86_400_000_000)).unwrap();
        assert_eq!(text(|out| push_date(out, days)), &written[..10]);
    }

    #[test]
    fn uuids_agree_with_uuid(bytes in any::<[u8; 16]>()) {
        let written = text(|out| push_uuid(out, bytes));
        assert_eq!(written, uuid::Uuid::from_bytes(bytes).to_string());
    }

    #[test]
    fn decimals_read_back(unscaled in -10_i128.pow(38) + 1..10_i128.pow(38), scale in 0_i8..=38) {
        let written = text(|out| push_decimal(out, unscaled, scale));
        assert_eq!(written, format_decimal(unscaled, scale));
        let kind = PropertyType::Decimal(DecimalSize { precision: 38, scale });
        assert_eq!(parse_scalar(&kind, &written).unwrap(), Value::Decimal(unscaled));
    }

    #[test]
    fn number_texts_are_parsed_to_the_same_value(value in any::<f64>()) {
        if value.is_finite() {
            let written = value_text(&PropertyType::Number, &Value::Number(value));
            let Value::Number(read) = parse_scalar(&PropertyType::Number, &written).unwrap() else {
                panic!("a number is read as a number");
            };
            assert_eq!(read.to_bits(), value.to_bits());
        }
    }
}
