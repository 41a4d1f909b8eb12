//! Parameters of statements, encoded before they are bound.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use staffa_domain::value::format_decimal;
use staffa_domain::{PropertyType, RecordId, Value};

use crate::copy::encode::{Column, put_array_head, put_value, with_length};
use crate::types;

/// One parameter: its type and its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Param {
    kind: Type,
    bytes: BytesMut,
}

impl Param {
    /// One value of a field of this type.
    pub(crate) fn value(value: &Value, kind: &PropertyType) -> Self {
        let mut bytes = BytesMut::new();
        put_value(value, kind, &mut bytes);
        let kind = types::value_type(kind);
        Self { kind, bytes }
    }

    /// Several values of a field of this type, as one array.
    pub(crate) fn values(values: &[Value], kind: &PropertyType) -> Self {
        let mut array = ArrayParam::new(types::value_type(kind));
        for value in values {
            array.len += 1;
            with_length(&mut array.items, |out| put_value(value, kind, out));
        }
        array.finish()
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::value(&Value::String(text.to_owned()), &PropertyType::String)
    }

    pub(crate) fn ids<'a>(ids: impl IntoIterator<Item = &'a RecordId>) -> Self {
        let mut array = ArrayParam::new(Type::UUID);
        for id in ids {
            array.push(Some(id.as_bytes()));
        }
        array.finish()
    }

    pub(crate) const fn kind(&self) -> &Type {
        &self.kind
    }
}

impl ToSql for Param {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(&self.bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The parameters as the driver takes them.
pub(crate) fn references(params: &[Param]) -> Vec<&(dyn ToSql + Sync)> {
    params.iter().map(|param| param as _).collect()
}

/// An array parameter in the making: one property of many records.
#[derive(Debug)]
pub(crate) struct ArrayParam {
    item: Type,
    items: BytesMut,
    len: usize,
    nulls: bool,
}

impl ArrayParam {
    pub(crate) fn new(item: Type) -> Self {
        Self {
            item,
            items: BytesMut::new(),
            len: 0,
            nulls: false,
        }
    }

    /// Adds the value at `row`. A list becomes its text: an array of arrays of different
    /// lengths is not to be had.
    pub(crate) fn push_from(&mut self, column: &Column<'_>, row: usize) {
        self.len += 1;
        self.nulls |= column.is_null(row);
        match column {
            Column::List { .. } if !column.is_null(row) => {
                let text = array_literal(column, row);
                with_length(&mut self.items, |out| out.put_slice(text.as_bytes()));
            }
            _ => column.put_field(row, &mut self.items),
        }
    }

    /// Adds a value by its bytes.
    pub(crate) fn push(&mut self, bytes: Option<&[u8]>) {
        self.len += 1;
        match bytes {
            Some(bytes) => with_length(&mut self.items, |out| out.put_slice(bytes)),
            None => {
                self.nulls = true;
                self.items.put_i32(-1);
            }
        }
    }

    pub(crate) fn finish(self) -> Param {
        let mut bytes = BytesMut::with_capacity(self.items.len() + 20);
        put_array_head(self.len, self.nulls, self.item.oid(), &mut bytes);
        bytes.unsplit(self.items);
        Param {
            kind: types::array_of(&self.item),
            bytes,
        }
    }
}

/// A list as PostgreSQL's array text: `{"a","b"}`.
pub(crate) fn array_literal(column: &Column<'_>, row: usize) -> String {
    let Column::List { list, items, .. } = column else {
        return "{}".to_owned();
    };
    let offsets = list.value_offsets();
    let mut text = String::from("{");
    for item in offsets[row]..offsets[row + 1] {
        if text.len() > 1 {
            text.push(',');
        }
        let item = usize::try_from(item).expect("list offsets are not negative");
        if items.is_null(item) {
            text.push_str("NULL");
        } else {
            push_quoted(&item_text(items, item), &mut text);
        }
    }
    text.push('}');
    text
}

fn push_quoted(item: &str, text: &mut String) {
    text.push('"');
    for c in item.chars() {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
}

fn item_text(items: &Column<'_>, item: usize) -> String {
    match items {
        Column::Text(array) => array.value(item).to_owned(),
        Column::Integer(array) => array.value(item).to_string(),
        Column::Number(array) => format!("{:?}", array.value(item)),
        Column::Decimal(array, scale) => {
            format_decimal(array.value(item), i8::try_from(*scale).unwrap_or(0))
        }
        Column::Boolean(array) => array.value(item).to_string(),
        Column::Date(array) => Value::Date(array.value(item)).to_string(),
        Column::Datetime(array) => datetime_text(array.value(item)),
        Column::Uuid(array) => uuid::Uuid::from_slice(array.value(item))
            .unwrap_or_default()
            .to_string(),
        Column::List { .. } => String::new(),
    }
}

/// A moment as `2026-01-31 12:00:00.000001+00`, to the last one that a record may hold.
fn datetime_text(micros: i64) -> String {
    const SECOND: i64 = 1_000_000;
    const DAY: i64 = 86_400 * SECOND;
    let days = i32::try_from(micros.div_euclid(DAY)).unwrap_or(i32::MAX);
    let rest = micros.rem_euclid(DAY);
    let seconds = rest / SECOND;
    format!(
        "{} {:02}:{:02}:{:02}.{:06}+00",
        Value::Date(days),
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60,
        rest % SECOND,
    )
}
