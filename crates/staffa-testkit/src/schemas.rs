//! Schemas that tests share.

use std::cell::Cell;
use std::sync::Arc;

use staffa_domain::schema::DecimalSize;
use staffa_domain::{Property, PropertyName, PropertyType, Schema, SchemaName, SchemaSnapshot};

/// Builds a schema in a few lines; every flag is off until set.
#[derive(Debug, Clone)]
pub struct SchemaBuilder {
    schema: Schema,
}

impl SchemaBuilder {
    /// An empty schema.
    ///
    /// # Panics
    /// When the name is none.
    pub fn new(name: &str) -> Self {
        let name = SchemaName::new(name).expect("a valid schema name");
        Self {
            schema: Schema::new(name, Vec::new()),
        }
    }

    /// Adds an optional property.
    #[must_use]
    pub fn optional(self, name: &str, property_type: PropertyType) -> Self {
        self.property(name, property_type, |_| ())
    }

    /// Adds a required property.
    #[must_use]
    pub fn required(self, name: &str, property_type: PropertyType) -> Self {
        self.property(name, property_type, |property| property.required = true)
    }

    /// Adds an optional property whose values are unique.
    #[must_use]
    pub fn unique(self, name: &str, property_type: PropertyType) -> Self {
        self.property(name, property_type, |property| property.unique = true)
    }

    /// Adds a property and lets the caller change it.
    ///
    /// # Panics
    /// When the name is none.
    #[must_use]
    pub fn property(
        mut self,
        name: &str,
        property_type: PropertyType,
        change: impl FnOnce(&mut Property),
    ) -> Self {
        let name = PropertyName::new(name).expect("a valid property name");
        let mut property = Property::new(name, property_type);
        change(&mut property);
        self.schema.properties.push(property);
        self
    }

    /// Sets the primary key.
    ///
    /// # Panics
    /// When a name is none.
    #[must_use]
    pub fn primary_key(mut self, names: &[&str]) -> Self {
        let name = |name: &&str| PropertyName::new(name).expect("a valid property name");
        self.schema.primary_key = names.iter().map(name).collect();
        self
    }

    /// Spreads its records by a property, on engines that do that.
    ///
    /// # Panics
    /// When the name is none.
    #[must_use]
    pub fn distributed_by(mut self, name: &str) -> Self {
        let name = PropertyName::new(name).expect("a valid property name");
        self.schema.distributed_by = Some(name);
        self
    }

    /// Makes it append-only.
    #[must_use]
    pub const fn append_only(mut self) -> Self {
        self.schema.append_only = true;
        self
    }

    /// The schema as it stands, checked or not.
    pub fn schema(self) -> Schema {
        self.schema
    }

    /// The first version of the schema.
    ///
    /// # Panics
    /// When the schema does not hold together.
    pub fn snapshot(self) -> Arc<SchemaSnapshot> {
        let problems = staffa_domain::schema::check(&self.schema);
        assert!(problems.is_empty(), "{problems:?}");
        Arc::new(SchemaSnapshot::first(self.schema))
    }
}

/// A decimal type.
pub const fn decimal(precision: u8, scale: i8) -> PropertyType {
    PropertyType::Decimal(DecimalSize { precision, scale })
}

/// An array type.
pub fn array(items: PropertyType) -> PropertyType {
    PropertyType::Array(Box::new(items))
}

thread_local! {
    static SPREAD: Cell<bool> = const { Cell::new(false) };
}

/// Whether the schemas that this thread makes are such as an engine can have that spreads
/// records over servers: what is unique holds the property by which they are spread.
pub fn set_spread(spread: bool) {
    SPREAD.set(spread);
}

/// What [`set_spread`] said.
pub fn is_spread() -> bool {
    SPREAD.get()
}

/// Orders of a shop: `reference` is the natural key, `code` is unique, the rest optional. Where
/// orders are spread, they are so by `reference`, and `code` is not unique.
pub fn orders() -> Arc<SchemaSnapshot> {
    let spread = SPREAD.get();
    let mut builder = SchemaBuilder::new("orders").required("reference", PropertyType::String);
    if spread {
        builder = builder.distributed_by("reference");
    }
    builder
        .property("code", PropertyType::Integer, |p| p.unique = !spread)
        .property("customer", PropertyType::String, |p| p.indexed = true)
        .optional("amount", decimal(12, 2))
        .optional("quantity", PropertyType::Integer)
        .optional("weight", PropertyType::Number)
        .optional("paid", PropertyType::Boolean)
        .optional("ordered_on", PropertyType::Date)
        .optional("shipped_at", PropertyType::Datetime)
        .optional("tags", array(PropertyType::String))
        .optional("extra", PropertyType::Object)
        .primary_key(&["reference"])
        .snapshot()
}

/// One optional property of every type, arrays of every scalar included.
pub fn all_types() -> Arc<SchemaSnapshot> {
    every_type("all_types", |_| ()).snapshot()
}

/// The same, with an index on every property that may have one.
pub fn all_types_indexed() -> Arc<SchemaSnapshot> {
    every_type("all_types_indexed", |property| {
        property.indexed = property.property_type.is_ordered();
    })
    .snapshot()
}

/// The same, all of them required, of records that are only ever added.
pub fn all_types_required() -> Arc<SchemaSnapshot> {
    every_type("all_types_required", |property| property.required = true)
        .append_only()
        .snapshot()
}

fn every_type(name: &str, change: impl Fn(&mut Property)) -> SchemaBuilder {
    let scalars = [
        ("string", PropertyType::String),
        ("integer", PropertyType::Integer),
        ("number", PropertyType::Number),
        ("decimal", decimal(38, 10)),
        ("boolean", PropertyType::Boolean),
        ("date", PropertyType::Date),
        ("datetime", PropertyType::Datetime),
        ("uuid", PropertyType::Uuid),
    ];
    let mut builder = SchemaBuilder::new(name);
    for (word, property_type) in &scalars {
        builder = builder.property(&format!("a_{word}"), property_type.clone(), &change);
    }
    builder = builder.property("an_object", PropertyType::Object, &change);
    for (word, property_type) in scalars {
        builder = builder.property(&format!("list_of_{word}"), array(property_type), &change);
    }
    builder
}

/// Monthly production of wells: fourteen properties, two of them with a leading underscore.
pub fn well_production() -> Arc<SchemaSnapshot> {
    let mut builder = SchemaBuilder::new("well_production")
        .property("field_code", PropertyType::Integer, |p| {
            p.required = true;
            p.indexed = true;
        })
        .optional("_field_name", PropertyType::String)
        .required("well_code", PropertyType::Integer)
        .optional("_well_reference", PropertyType::String)
        .property("well_name", PropertyType::String, |p| {
            p.constraints.max_length = Some(200);
        })
        .required("production_period", PropertyType::Datetime)
        .optional("days_on_production", PropertyType::Integer);
    if SPREAD.get() {
        builder = builder.distributed_by("field_code");
    }
    for name in [
        "oil_production_kbd",
        "gas_production_mmcfd",
        "liquids_production_kbd",
        "water_production_kbd",
    ] {
        builder = builder.optional(name, PropertyType::Number);
    }
    builder
        .optional("data_source", PropertyType::String)
        .optional("source_data", PropertyType::Object)
        .optional("partition_0", PropertyType::String)
        .primary_key(&["field_code", "well_code", "production_period"])
        .snapshot()
}

/// Measurements that are only ever added.
pub fn readings() -> Arc<SchemaSnapshot> {
    SchemaBuilder::new("readings")
        .required("sensor", PropertyType::String)
        .optional("reading", PropertyType::Number)
        .append_only()
        .snapshot()
}
