//! The statements that make and remove a schema's table and indexes.

use staffa_domain::{SchemaSnapshot, StorageError, Transition};

use crate::options::Distribution;
use crate::sql::names::{self, IndexKind};
use crate::types;

/// Makes what is missing of a schema's storage: statements to be sent one by one, since Citus
/// hands the whole text that holds one to its nodes.
pub(super) fn create(
    schema: &SchemaSnapshot,
    distribution: Distribution,
) -> Result<Vec<String>, StorageError> {
    let spread = match distribution {
        Distribution::None => None,
        Distribution::Citus => Some(distribution_of(schema)?),
    };
    let mut statements = vec![table(schema, spread.as_deref())];
    if let Some(column) = &spread {
        // A table that is distributed already refuses to be again.
        statements.push(format!(
            "SELECT create_distributed_table('{table}', '{column}') \
             WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition \
             WHERE logicalrelid = '{table}'::regclass)",
            table = names::table(schema),
        ));
    }
    let indexes = indexes(schema);
    statements.extend(indexes.iter().map(|index| create_index(schema, index)));
    Ok(statements)
}

/// The statements that bring the storage of one version to the next: `cast` is the expression
/// that reads a column as its next type, `default` the value of a new one.
pub(super) fn alter(
    transition: &Transition,
    cast: impl Fn(usize, usize) -> String,
    default: impl Fn(usize) -> Option<String>,
) -> Vec<String> {
    let (from, to) = (transition.from(), transition.to());
    let table = names::table(to);
    let kind = |after: usize| types::column_type(&to.schema().properties[after].property_type);
    let mut statements = Vec::new();
    let kept = relations(to);
    for index in indexes(from) {
        let name = names::index(from, index.kind, &index.positions);
        if !kept.contains(&name) || transition.changes_append_only() {
            statements.push(format!(
                "DROP INDEX IF EXISTS records.{}",
                names::quoted(&name)
            ));
        }
    }
    let mut parts = Vec::new();
    for after in transition.added() {
        let column = names::property(to, *after);
        let default = default(*after).map_or_else(String::new, |value| format!(" DEFAULT {value}"));
        parts.push(format!("ADD COLUMN {column} {}{default}", kind(*after)));
    }
    for (before, after) in transition.retyped() {
        let column = names::property(from, before);
        let (kind, value) = (kind(after), cast(before, after));
        parts.push(format!("ALTER COLUMN {column} TYPE {kind} USING {value}"));
    }
    for before in transition.dropped() {
        parts.push(format!("DROP COLUMN {}", names::property(from, *before)));
    }
    statements.extend(
        parts
            .into_iter()
            .map(|part| format!("ALTER TABLE {table} {part}")),
    );
    for after in transition.added() {
        if default(*after).is_some() {
            let column = names::property(to, *after);
            statements.push(format!(
                "ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT"
            ));
        }
    }
    if transition.changes_append_only() {
        statements.extend(change_key(to));
    }
    statements.extend(indexes(to).iter().map(|index| create_index(to, index)));
    statements
}

/// What is kept beside each record where records can be changed, made or removed.
fn change_key(to: &SchemaSnapshot) -> Vec<String> {
    let table = names::table(to);
    let key = names::quoted(&names::index(to, IndexKind::Id, &[]));
    if to.schema().append_only {
        return vec![format!(
            "ALTER TABLE {table} DROP CONSTRAINT {key}, DROP COLUMN updated_at, \
             DROP COLUMN version"
        )];
    }
    vec![
        format!(
            "ALTER TABLE {table} ADD COLUMN updated_at timestamptz, \
             ADD COLUMN version bigint NOT NULL DEFAULT 1"
        ),
        format!("UPDATE {table} SET updated_at = created_at"),
        format!(
            "ALTER TABLE {table} ALTER COLUMN updated_at SET NOT NULL, \
             ALTER COLUMN version DROP DEFAULT, ADD CONSTRAINT {key} PRIMARY KEY (id)"
        ),
    ]
}

/// Removes a schema's storage.
pub(super) fn drop(schema: &SchemaSnapshot) -> String {
    format!("DROP TABLE IF EXISTS {}", names::table(schema))
}

fn table(schema: &SchemaSnapshot, spread: Option<&str>) -> String {
    let mut columns = vec![
        "id uuid NOT NULL".to_owned(),
        "created_at timestamptz NOT NULL".to_owned(),
    ];
    if !schema.schema().append_only {
        columns.push("updated_at timestamptz NOT NULL".to_owned());
        columns.push("version bigint NOT NULL".to_owned());
    }
    for (property, id) in schema.schema().properties.iter().zip(schema.property_ids()) {
        let kind = types::column_type(&property.property_type);
        columns.push(format!("{} {kind}", names::column(*id)));
    }
    if !schema.schema().append_only {
        let index = names::quoted(&names::index(schema, IndexKind::Id, &[]));
        let key = match spread {
            Some(column) if column != "id" => format!("id, {column}"),
            _ => "id".to_owned(),
        };
        columns.push(format!("CONSTRAINT {index} PRIMARY KEY ({key})"));
    }
    let columns = columns.join(", ");
    format!(
        "CREATE TABLE IF NOT EXISTS {} ({columns})",
        names::table(schema)
    )
}

/// Which of these names are those of tables or indexes of records.
pub(super) const FIND: &str = "SELECT relname FROM pg_class \
     WHERE relnamespace = 'records'::regnamespace AND relname = ANY($1)";
/// Whether a table of records is spread.
pub(super) const FIND_SPREAD: &str = "SELECT 1 FROM pg_dist_partition AS part \
     JOIN pg_class AS class ON class.oid = part.logicalrelid \
     WHERE class.relnamespace = 'records'::regnamespace AND class.relname = $1";

/// The names of the table and the indexes that a schema has.
pub(super) fn relations(schema: &SchemaSnapshot) -> Vec<String> {
    let mut names = vec![schema.name().to_owned()];
    if !schema.schema().append_only {
        names.push(names::index(schema, IndexKind::Id, &[]));
    }
    let indexes = indexes(schema).into_iter();
    names.extend(indexes.map(|index| names::index(schema, index.kind, &index.positions)));
    names
}

/// An index beside the key.
struct Index {
    kind: IndexKind,
    positions: Vec<usize>,
    unique: &'static str,
    method: &'static str,
}

fn indexes(schema: &SchemaSnapshot) -> Vec<Index> {
    let index = |kind, positions, unique, method| Index {
        kind,
        positions,
        unique,
        method,
    };
    let mut indexes = Vec::new();
    if schema.schema().append_only {
        // Ids rise with time, so a summary a block range finds one for nearly no cost.
        indexes.push(index(IndexKind::Id, Vec::new(), "", "brin"));
    }
    let groups = schema.schema().unique_groups();
    for group in &groups {
        indexes.push(index(IndexKind::Unique, group.clone(), "UNIQUE ", "btree"));
    }
    for (place, property) in schema.schema().properties.iter().enumerate() {
        // What leads a unique index is found through it.
        if property.indexed && !groups.iter().any(|group| group.first() == Some(&place)) {
            indexes.push(index(IndexKind::Plain, vec![place], "", "btree"));
        }
    }
    indexes
}

/// An index that is built before the change that adds it.
pub(super) struct Ahead {
    pub(super) name: String,
    pub(super) statement: String,
}

/// The indexes of the next version that can be built on what is there now. Not those that keep
/// values unique: they would refuse records before the schema does.
pub(super) fn ahead(transition: &Transition) -> Vec<Ahead> {
    let (from, to) = (transition.from(), transition.to());
    let known = relations(from);
    let stands = |place: &usize| {
        let stays = transition.kept().iter().any(|(_, after)| after == place);
        stays && !transition.retyped().any(|(_, after)| after == *place)
    };
    indexes(to)
        .iter()
        .filter(|index| {
            matches!(index.kind, IndexKind::Plain) && index.positions.iter().all(stands)
        })
        .map(|index| Ahead {
            name: names::index(to, index.kind, &index.positions),
            statement: create_index(to, index).replacen("INDEX", "INDEX CONCURRENTLY", 1),
        })
        .filter(|index| !known.contains(&index.name))
        .collect()
}

/// Removes an index beside those who use the table.
pub(super) fn drop_index_beside(name: &str) -> String {
    format!(
        "DROP INDEX CONCURRENTLY IF EXISTS records.{}",
        names::quoted(name)
    )
}

fn create_index(schema: &SchemaSnapshot, index: &Index) -> String {
    let columns: Vec<String> = match index.kind {
        IndexKind::Id => vec!["id".to_owned()],
        _ => index
            .positions
            .iter()
            .map(|place| names::property(schema, *place))
            .collect(),
    };
    format!(
        "CREATE {}INDEX IF NOT EXISTS {} ON {} USING {} ({})",
        index.unique,
        names::quoted(&names::index(schema, index.kind, &index.positions)),
        names::table(schema),
        index.method,
        columns.join(", "),
    )
}

/// The column by which Citus spreads the records. Uniqueness is kept within a shard alone,
/// so each unique group must contain it.
pub(super) fn distribution_of(schema: &SchemaSnapshot) -> Result<String, StorageError> {
    let declared = schema.schema();
    let place = declared
        .distributed_by
        .as_ref()
        .and_then(|name| declared.position(name.as_str()));
    for group in declared.unique_groups() {
        if place.is_some_and(|place| group.contains(&place)) {
            continue;
        }
        let names: Vec<&str> = group
            .iter()
            .map(|place| declared.properties[*place].name.as_str())
            .collect();
        let by = declared
            .distributed_by
            .as_ref()
            .map_or("id", |name| name.as_str());
        return Err(StorageError::Unsupported(format!(
            "{} of {} can't be unique while records are distributed by {by}: distribute by one \
             of these properties, or drop the uniqueness",
            names.join(", "),
            schema.name(),
        )));
    }
    if let Some(property) = place.map(|place| &declared.properties[place]) {
        let must = if !property.required {
            "must be required"
        } else if !property.property_type.is_ordered() {
            "must be neither an object nor an array"
        } else {
            ""
        };
        if !must.is_empty() {
            let name = &property.name;
            let schema = schema.name();
            let message = format!("{name} distributes the records of {schema} and so {must}");
            return Err(StorageError::Unsupported(message));
        }
    }
    Ok(place.map_or_else(|| "id".to_owned(), |place| names::property(schema, place)))
}
