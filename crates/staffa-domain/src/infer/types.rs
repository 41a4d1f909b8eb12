//! The type that a property's values have in common.

use super::facts::{Facts, Marks, Scalars};
use super::kinds::Kinds;
use super::remark::shown;
use crate::schema::{DecimalSize, PropertyType};

/// Digits of a decimal whose size nobody declares: those of 64 bits, or the most there are.
const PRECISIONS: [u8; 2] = [18, 38];

/// The type of a property's values, with what is to be told of it; or why there is none.
pub(super) fn type_of(facts: &Facts) -> Result<(PropertyType, Option<String>), String> {
    if let Some((count, why)) = &facts.refused {
        return Err(format!("{count} values cannot be stored: {}", shown(why)));
    }
    if facts.values == 0 {
        return Ok((PropertyType::String, None));
    }
    if facts.lists == facts.values
        && let Some((items, note)) = scalar_type(&facts.items)
        && items != PropertyType::Object
    {
        return Ok((PropertyType::Array(Box::new(items)), note));
    }
    if facts.scalars.count == facts.values
        && let Some(kind) = scalar_type(&facts.scalars)
    {
        return Ok(kind);
    }
    Err("values are of several types, and no type holds them all".to_owned())
}

/// The narrowest type that all of these can be read as without loss.
fn scalar_type(scalars: &Scalars) -> Option<(PropertyType, Option<String>)> {
    let kinds = scalars.kinds;
    if scalars.count == 0 {
        return Some((PropertyType::String, None));
    }
    let simple = [
        (Kinds::OBJECT, PropertyType::Object),
        (Kinds::BOOLEAN, PropertyType::Boolean),
        (Kinds::INTEGER, PropertyType::Integer),
        (Kinds::DATE, PropertyType::Date),
        (Kinds::DATETIME, PropertyType::Datetime),
        (Kinds::UUID, PropertyType::Uuid),
    ];
    if let Some((_, kind)) = simple.into_iter().find(|(kind, _)| kinds.has(*kind)) {
        return Some((kind, None));
    }
    let size = decimal_size(scalars).filter(|_| kinds.has(Kinds::DECIMAL));
    if kinds.has(Kinds::NUMBER) && !scalars.is_exact {
        if let Some(size) = size {
            let note = "a number would lose digits".to_owned();
            return Some((PropertyType::Decimal(size), Some(note)));
        }
        if !kinds.has(Kinds::STRING) {
            let note = "a number loses digits, and a decimal has too few".to_owned();
            return Some((PropertyType::Number, Some(note)));
        }
        return Some((PropertyType::String, None));
    }
    if kinds.has(Kinds::NUMBER) {
        return Some((PropertyType::Number, None));
    }
    if kinds.has(Kinds::STRING) {
        let hint = |size: DecimalSize| {
            format!(
                "every text is a number: type decimal, precision {}, scale {} reads it",
                size.precision, size.scale
            )
        };
        return Some((PropertyType::String, size.map(hint)));
    }
    size.map(|size| (PropertyType::Decimal(size), None))
}

/// The size of a decimal that holds all, with room to grow where nobody declared it.
fn decimal_size(scalars: &Scalars) -> Option<DecimalSize> {
    let digits = scalars.digits.whole.saturating_add(scalars.digits.fraction);
    let scale = i8::try_from(scalars.digits.fraction).ok()?;
    let declared = scalars.any.has(Marks::DECLARED);
    let exact = u8::try_from(digits.max(1)).ok().filter(|_| declared);
    let fits = |precision: &u8| u32::from(*precision) >= digits;
    let precision = exact.or_else(|| PRECISIONS.into_iter().find(fits))?;
    (precision <= PRECISIONS[1]).then_some(DecimalSize { precision, scale })
}
