//! Tests of what is proposed for what was seen.

use crate::schema::PropertyName;

use super::{
    Digits, Kinds, Marks, Proposal, RemarkCode, Sample, SampleLimits, Scalar, property_names,
    schema_name,
};

const LIMITS: SampleLimits = SampleLimits {
    rows_max: 1_000,
    prints_max: 10_000,
};

fn number(kinds: Kinds, text: &str, is_exact: bool) -> Scalar<'_> {
    let whole = u32::try_from(text.find('.').unwrap_or(text.len())).unwrap();
    let all = u32::try_from(text.len()).unwrap();
    let digits = Digits {
        whole,
        fraction: all.saturating_sub(whole + 1),
    };
    Scalar {
        digits,
        is_exact,
        ..Scalar::new(kinds, text.as_bytes())
    }
}

fn text(text: &str) -> Scalar<'_> {
    Scalar::new(Kinds::STRING, text.as_bytes())
}

fn integer(text: &str) -> Scalar<'_> {
    let kinds = Kinds::STRING | Kinds::INTEGER | Kinds::NUMBER | Kinds::DECIMAL;
    number(kinds, text, true)
}

fn fraction(text: &str, is_exact: bool) -> Scalar<'_> {
    let kinds = Kinds::STRING | Kinds::NUMBER | Kinds::DECIMAL;
    number(kinds, text, is_exact)
}

/// One property, a value a row; none is a null.
fn propose(values: &[Option<Scalar<'_>>]) -> Proposal {
    let mut sample = Sample::new(LIMITS);
    let at = sample.property("a").unwrap();
    for value in values {
        if let Some(value) = value {
            sample.value(at, value);
        }
        sample.end_row();
    }
    sample.propose("things")
}

#[track_caller]
fn check(values: &[Option<Scalar<'_>>], expected: &str, required: bool) {
    let proposal = propose(values);
    let property = &proposal.schema.properties[0];
    let found = (property.property_type.to_string(), property.required);
    assert_eq!(found, (expected.to_owned(), required), "{proposal:#?}");
    assert!(crate::schema::check(&proposal.schema).is_empty());
}

/// The remarks of a kind.
fn told(proposal: &Proposal, code: RemarkCode) -> Vec<&str> {
    let remarks = proposal.remarks.iter();
    let of_code = remarks.filter(|remark| remark.code == code);
    of_code.map(|remark| remark.message.as_str()).collect()
}

#[test]
fn the_narrowest_type_without_loss_is_taken() {
    check(&[Some(integer("1")), Some(integer("22"))], "integer", true);
    check(&[Some(integer("1")), None], "integer", false);
    check(
        &[Some(integer("1")), Some(fraction("1.5", true))],
        "number",
        true,
    );
    check(&[Some(integer("1")), Some(text("x"))], "string", true);
    let long = "12345678901234567.89";
    check(&[Some(fraction(long, false))], "decimal(38,2)", true);
    check(
        &[Some(fraction("1234567890123456.7", false))],
        "decimal(18,1)",
        true,
    );
    check(&[None, None], "string", false);
    check(&[], "string", false);
    let date = Scalar::new(Kinds::STRING | Kinds::DATE, b"2013-01-31");
    check(&[Some(date)], "date", true);
    let moment = Scalar::new(Kinds::STRING | Kinds::DATETIME, b"2013-01-31T10:00:00Z");
    check(&[Some(moment)], "datetime", true);
    check(&[Some(date), Some(moment)], "string", true);
    check(&[Some(Scalar::new(Kinds::OBJECT, b"{}"))], "object", true);
}

#[test]
fn digits_that_no_type_holds_stay_text_or_are_told() {
    let digits = "1".repeat(40);
    let beyond = number(Kinds::STRING | Kinds::NUMBER, &digits, false);
    check(&[Some(beyond)], "string", true);
    let in_json = number(Kinds::NUMBER, &digits, false);
    check(&[Some(in_json)], "number", true);
    let notes = propose(&[Some(in_json)]);
    assert_eq!(told(&notes, RemarkCode::Decimal).len(), 1);
    // Each has few digits, but not in the same places.
    let wide = format!("{}.5", "1".repeat(30));
    let deep = fraction("1.555555555555555555", false);
    check(&[Some(fraction(&wide, false)), Some(deep)], "string", true);
}

#[test]
fn a_declared_decimal_keeps_its_size() {
    let mut declared = Scalar::new(Kinds::DECIMAL, b"x");
    declared.digits = Digits {
        whole: 5,
        fraction: 2,
    };
    declared.marks = Marks::DECLARED;
    check(&[Some(declared)], "decimal(7,2)", true);
}

#[test]
fn values_of_several_types_are_a_conflict() {
    let quoted = Scalar::new(Kinds::STRING, b"x");
    let bare = Scalar::new(Kinds::INTEGER | Kinds::NUMBER, b"1");
    let proposal = propose(&[Some(quoted), Some(bare)]);
    assert_eq!(proposal.obstacles().count(), 1);
    assert_eq!(told(&proposal, RemarkCode::Conflict).len(), 1);
    // A decimal takes numbers and texts of numbers alike.
    let quoted = number(Kinds::STRING | Kinds::DECIMAL, "1.50", true);
    let bare = number(Kinds::NUMBER | Kinds::DECIMAL, "2.5", true);
    check(&[Some(quoted), Some(bare)], "decimal(18,2)", true);
}

#[test]
fn arrays_have_items_of_one_type() {
    let mut sample = Sample::new(LIMITS);
    let (a, b) = (sample.property("a").unwrap(), sample.property("b").unwrap());
    sample.item(a, &integer("1"));
    sample.list(a, None);
    sample.list(b, None);
    sample.end_row();
    let proposal = sample.clone().propose("things");
    let types = proposal.schema.properties.iter();
    let types: Vec<_> = types.map(|p| p.property_type.to_string()).collect();
    assert_eq!(types, ["array of integer", "array of string"]);
    // An array in one row and a number in another.
    sample.value(a, &integer("1"));
    sample.end_row();
    assert_eq!(sample.propose("things").obstacles().count(), 1);
}

#[test]
fn a_null_word_is_one_where_values_are_no_texts() {
    let mut sample = Sample::new(LIMITS);
    let (a, b) = (sample.property("a").unwrap(), sample.property("b").unwrap());
    for row in 0..20 {
        match row {
            3 => sample.null_word(a, 0),
            _ => sample.value(a, &integer("1")),
        }
        sample.null_word(b, if row == 4 { 2 } else { 0 });
        sample.end_row();
    }
    let proposal = sample.propose("things");
    assert_eq!(proposal.null_value, Some("NA"));
    let types = proposal.schema.properties.iter();
    let types: Vec<_> = types
        .map(|p| (p.property_type.to_string(), p.required))
        .collect();
    assert_eq!(
        types,
        [("integer".to_owned(), false), ("string".to_owned(), false)]
    );
    assert_eq!(
        told(&proposal, RemarkCode::Nulls),
        ["null in 1 rows", "null in 19 rows"]
    );

    let mut sample = Sample::new(LIMITS);
    let at = sample.property("country").unwrap();
    sample.value(at, &text("DE"));
    sample.end_row();
    sample.null_word(at, 0);
    sample.end_row();
    let proposal = sample.propose("things");
    assert_eq!(proposal.null_value, None);
    assert!(proposal.schema.properties[0].required);
    assert_eq!(told(&proposal, RemarkCode::NullValue).len(), 1);
}

/// Rows of numbers, a property for each place.
fn table(names: &[&str], rows: impl Iterator<Item = Vec<u32>>) -> Proposal {
    let mut sample = Sample::new(LIMITS);
    for name in names {
        sample.property(name).unwrap();
    }
    for row in rows {
        for (at, value) in row.iter().enumerate() {
            sample.value(at, &integer(&value.to_string()));
        }
        sample.end_row();
    }
    sample.propose("things")
}

#[test]
fn keys_are_sought_alone_then_together() {
    let alone = table(&["a", "b"], (0..50).map(|n| vec![n, n % 3]));
    let keys: Vec<_> = alone
        .remarks
        .iter()
        .filter(|remark| remark.code == RemarkCode::Key)
        .collect();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].property, Some(0));

    let together = table(&["a", "b", "c"], (0..50).map(|n| vec![n / 5, n % 5, 7]));
    let message = "[a, b] is unique in the sample: candidate for primary_key";
    assert_eq!(told(&together, RemarkCode::Key), [message]);

    let three = table(
        &["a", "b", "c"],
        (0..27).map(|n| vec![n / 9, n / 3 % 3, n % 3]),
    );
    let message = "[a, b, c] is unique in the sample: candidate for primary_key";
    assert_eq!(told(&three, RemarkCode::Key), [message]);

    let none = table(&["a", "b"], (0..50).map(|n| vec![n % 5, n % 5]));
    assert!(told(&none, RemarkCode::Key).is_empty());
    let few = table(&["a"], (0..5).map(|n| vec![n]));
    assert!(told(&few, RemarkCode::Key).is_empty());
}

#[test]
fn memory_is_bounded_and_the_part_is_told() {
    let mut sample = Sample::new(SampleLimits {
        rows_max: 1_000,
        prints_max: 40,
    });
    let at = sample.property("a").unwrap();
    for row in 0..500 {
        sample.value(at, &integer(&row.to_string()));
        sample.end_row();
    }
    let message = "unique in the first 40 rows: candidate for primary_key";
    assert_eq!(told(&sample.propose("x"), RemarkCode::Key), [message]);

    let mut sample = Sample::new(LIMITS);
    for n in 0..1_500 {
        let found = sample.property(&format!("p{n}"));
        assert_eq!(found.is_some(), n < 1_000);
    }
    sample.end_row();
    let proposal = sample.propose("x");
    assert_eq!(proposal.schema.properties.len(), 1_000);
    assert_eq!(proposal.obstacles().count(), 1);
}

#[test]
fn few_texts_are_an_enum_and_many_an_index() {
    let few = ["a", "b"].into_iter().cycle().take(20);
    let few: Vec<_> = few.map(|value| Some(text(value))).collect();
    assert_eq!(
        told(&propose(&few), RemarkCode::Enum),
        ["candidate for enum: [a, b]"]
    );
    let many: Vec<String> = (0..200).map(|n| format!("t{}", n % 100)).collect();
    let many: Vec<_> = many.iter().map(|value| Some(text(value))).collect();
    let proposal = propose(&many);
    assert!(told(&proposal, RemarkCode::Enum).is_empty());
    let message = "100 values in the sample: candidate for indexed";
    assert_eq!(told(&proposal, RemarkCode::Index), [message]);
    assert_eq!(
        told(&proposal, RemarkCode::Length),
        ["at most 3 characters"]
    );
}

#[test]
fn remarks_are_one_line_whatever_the_sample_holds() {
    let nasty = "a\n# b: \u{2028}\u{1b}[31m";
    let values: Vec<_> = (0..20)
        .map(|n| Some(text(if n % 2 > 0 { nasty } else { "c" })))
        .collect();
    let mut proposals = vec![propose(&values)];
    let mut sample = Sample::new(LIMITS);
    let at = sample.property(nasty).unwrap();
    sample.refuse(at, nasty);
    sample.unreadable(nasty);
    proposals.push(sample.propose(nasty));
    for remark in proposals.iter().flat_map(|proposal| &proposal.remarks) {
        let is_plain = |c: char| !c.is_control() && c != '\u{2028}';
        assert!(remark.message.chars().all(is_plain), "{remark:?}");
    }
}

#[test]
fn names_become_valid() {
    let long = "x".repeat(80);
    let sources = [
        "depTime",
        "Dep Time (local)",
        "dep time local",
        "id",
        "ID",
        "2013",
        "",
        "é",
        "_",
        "version",
        "a b",
        "a_b",
        "A_B",
        &long,
        &long,
    ];
    let names = property_names(&sources);
    let names: Vec<&str> = names.iter().map(PropertyName::as_str).collect();
    let short = "x".repeat(56);
    let other = format!("{short}_2");
    let expected = [
        "depTime",
        "Dep_Time_local",
        "dep_time_local_2",
        "id_",
        "ID",
        "_2013",
        "property",
        "property_2",
        "_",
        "version_",
        "a_b_2",
        "a_b",
        "A_B_3",
        &short,
        &other,
    ];
    assert_eq!(names, expected);
    for (source, expected) in [
        ("flights", "flights"),
        ("My Flights", "my_flights"),
        ("2013-flights", "s_2013_flights"),
        ("bulk", "bulk_"),
        ("infer", "infer"),
        ("_x", "x"),
        ("", "records"),
        ("éé", "records"),
    ] {
        assert_eq!(schema_name(source).as_str(), expected, "{source}");
    }
}
