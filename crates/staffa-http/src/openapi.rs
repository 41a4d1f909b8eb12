//! The OpenAPI 3.1 document, made from the route table and the schemas loaded now: each schema
//! has paths of its own, with bodies of its own type.

mod aggregate;
mod answers;
mod jobs;
mod operations;
mod params;
mod schemas;
mod transaction;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use serde_json::{Map, Value as Json, json};

use staffa_app::Catalog;
use staffa_domain::SchemaSnapshot;

use crate::problem::Problem;
use crate::route_table::{ROUTES, Route};

type Schemas = BTreeMap<String, Arc<SchemaSnapshot>>;

/// Keeps the document until the schemas change.
#[derive(Debug, Default)]
pub(crate) struct OpenApi {
    made: Mutex<Option<(Arc<Schemas>, Bytes)>>,
}

impl OpenApi {
    /// The document for the schemas as they are now.
    pub(crate) fn document(&self, catalog: &Catalog) -> Result<Bytes, Problem> {
        let schemas = catalog.all();
        // A poisoned lock holds a document that is complete or none.
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, text)) = made.as_ref()
            && Arc::ptr_eq(of, &schemas)
        {
            return Ok(text.clone());
        }
        let text = serde_json::to_vec(&describe(&schemas)).map_err(Problem::internal)?;
        let text = Bytes::from(text);
        *made = Some((schemas, text.clone()));
        Ok(text)
    }
}

fn describe(schemas: &Schemas) -> Json {
    let mut paths = Map::new();
    for route in ROUTES
        .iter()
        .filter(|route| !route.path.contains("{schema}"))
    {
        put(
            &mut paths,
            route.path,
            route,
            operations::describe(route, None, schemas),
        );
    }
    for schema in schemas.values() {
        for route in ROUTES
            .iter()
            .filter(|route| route.path.contains("{schema}"))
        {
            let path = route.path.replace("{schema}", schema.name());
            put(
                &mut paths,
                &path,
                route,
                operations::describe(route, Some(schema), schemas),
            );
        }
    }
    let mut tags = vec![
        json!({"name": "schemas", "description": "What kinds of records there are"}),
        json!({"name": "records", "description": "Records of any schema"}),
    ];
    tags.extend(schemas.values().map(|schema| {
        let description = schema.schema().description.as_deref().unwrap_or("Records");
        json!({"name": schema.name(), "description": description})
    }));
    tags.push(json!({"name": "jobs", "description": "Bulk writes that end after their request"}));
    tags.push(json!({"name": "server", "description": "Health and documentation"}));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Staffa",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A data API over declared schemas. Each schema has its own paths.",
        },
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas::components(schemas),
            "responses": answers::components(),
        },
    })
}

fn put(paths: &mut Map<String, Json>, path: &str, route: &Route, operation: Json) {
    let item = paths
        .entry(path)
        .or_insert_with(|| Json::Object(Map::new()));
    if let Json::Object(methods) = item {
        methods.insert(route.method.as_str().to_ascii_lowercase(), operation);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value as Json;

    use staffa_testkit::schemas;

    use super::{Schemas, describe};
    use crate::route_table::ROUTES;

    fn document() -> Json {
        let schemas: Schemas = [schemas::orders(), schemas::readings()]
            .into_iter()
            .map(|schema| (schema.name().to_owned(), schema))
            .collect();
        describe(&schemas)
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = document();
        let mut described = 0;
        for item in document["paths"].as_object().unwrap().values() {
            described += item.as_object().unwrap().len();
        }
        let of_a_schema = ROUTES
            .iter()
            .filter(|route| route.path.contains("{schema}"))
            .count();
        assert_eq!(described, ROUTES.len() + of_a_schema);
        for route in ROUTES {
            let path = route.path.replace("{schema}", "orders");
            let method = route.method.as_str().to_ascii_lowercase();
            assert!(
                document["paths"][&path][&method].is_object(),
                "{method} {path}"
            );
        }
    }

    #[test]
    fn operation_ids_are_unique_and_references_lead_somewhere() {
        let document = document();
        let mut ids = std::collections::BTreeSet::new();
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                let id = operation["operationId"].as_str().unwrap().to_owned();
                assert!(ids.insert(id.clone()), "{id} is there twice");
            }
        }
        check_references(&document, &document);
    }

    #[test]
    fn a_document_is_made_without_any_schema() {
        let document = describe(&Arc::default());
        assert!(document["paths"]["/api/v1/records"]["post"].is_object());
    }

    fn check_references(document: &Json, part: &Json) {
        match part {
            Json::Object(members) => {
                if let Some(Json::String(target)) = members.get("$ref") {
                    let pointer = target.strip_prefix('#').unwrap();
                    assert!(
                        document.pointer(pointer).is_some(),
                        "{target} leads nowhere"
                    );
                }
                members
                    .values()
                    .for_each(|member| check_references(document, member));
            }
            Json::Array(items) => items
                .iter()
                .for_each(|item| check_references(document, item)),
            _ => {}
        }
    }
}
