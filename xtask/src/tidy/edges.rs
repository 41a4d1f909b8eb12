//! The hexagon as two constants: which crate may depend on which, and who owns an outside crate.
//! Adding an edge is an architecture change and needs a record in `docs/adr/`.

use std::path::Path;

use anyhow::Context as _;
use cargo_metadata::{DependencyKind, MetadataCommand};

use super::report::Report;

/// Each crate with the workspace crates it may depend on.
const EDGES: &[(&str, &[&str])] = &[
    ("staffa-domain", &[]),
    ("staffa-codec", &["staffa-domain"]),
    ("staffa-app", &["staffa-codec", "staffa-domain"]),
    ("staffa-duckdb", &["staffa-domain"]),
    ("staffa-postgres", &["staffa-domain"]),
    (
        "staffa-http",
        &["staffa-app", "staffa-codec", "staffa-domain"],
    ),
    ("staffa-telemetry", &["staffa-domain"]),
    ("staffa-testkit", &["staffa-domain"]),
    (
        "staffa-fuzz",
        &["staffa-codec", "staffa-domain", "staffa-testkit"],
    ),
    (
        "staffa-server",
        &[
            "staffa-app",
            "staffa-codec",
            "staffa-domain",
            "staffa-duckdb",
            "staffa-http",
            "staffa-postgres",
            "staffa-telemetry",
        ],
    ),
    ("xtask", &[]),
];

/// Outside crates that name a world, with the one crate that may know it. Tests are free to reach
/// that world directly, to prepare or to verify it.
const OWNERS: &[(&str, &str)] = &[
    ("duckdb", "staffa-duckdb"),
    ("tokio-postgres", "staffa-postgres"),
    ("deadpool-postgres", "staffa-postgres"),
    ("tokio-postgres-rustls", "staffa-postgres"),
    ("axum", "staffa-http"),
    ("clap", "staffa-server"),
    ("metrics", "staffa-telemetry"),
    ("metrics-exporter-prometheus", "staffa-telemetry"),
];

/// Everything from outside that the domain may use: no IO, no runtime, no serialization.
const DOMAIN_MAY_USE: &[&str] = &[
    "arrow-array",
    "arrow-buffer",
    "arrow-cast",
    "arrow-ord",
    "arrow-schema",
    "arrow-select",
    "async-trait",
    "futures-core",
    "jiff",
    "regex",
    "strsim",
    "thiserror",
    "uuid",
];

const DOMAIN: &str = "staffa-domain";
const TESTKIT: &str = "staffa-testkit";

/// A workspace crate as cargo sees it.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// The folder relative to the root, for example `crates/staffa-app`.
    pub(crate) folder: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug)]
struct Dependency {
    name: String,
    is_dev: bool,
}

/// Asks cargo for the crates of the workspace.
pub(crate) fn load(root: &Path) -> anyhow::Result<Vec<Package>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo metadata failed")?;
    let package = |package: &cargo_metadata::Package| {
        let folder = package
            .manifest_path
            .parent()?
            .strip_prefix(&metadata.workspace_root)
            .ok()?;
        let dependency = |dependency: &cargo_metadata::Dependency| Dependency {
            name: dependency.name.clone(),
            is_dev: dependency.kind == DependencyKind::Development,
        };
        Some(Package {
            name: package.name.to_string(),
            folder: folder.to_string(),
            dependencies: package.dependencies.iter().map(dependency).collect(),
        })
    };
    metadata
        .workspace_packages()
        .into_iter()
        .map(|found| package(found).with_context(|| format!("{} has no folder", found.name)))
        .collect()
}

pub(crate) fn check(packages: &[Package], report: &mut Report) {
    for package in packages {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == package.name) else {
            report.fail(format!(
                "{}: not in EDGES of xtask/src/tidy/edges.rs",
                package.name
            ));
            continue;
        };
        for dependency in &package.dependencies {
            if let Some(problem) = problem(package, allowed, dependency) {
                report.fail(format!("{}/Cargo.toml: {problem}", package.folder));
            }
        }
    }
    for (name, _) in EDGES {
        if !packages.iter().any(|package| package.name == *name) {
            report.fail(format!(
                "EDGES of xtask/src/tidy/edges.rs names {name}, which is gone"
            ));
        }
    }
}

fn problem(package: &Package, allowed: &[&str], dependency: &Dependency) -> Option<String> {
    let name = dependency.name.as_str();
    if EDGES.iter().any(|(known, _)| *known == name) {
        let is_allowed = allowed.contains(&name) || (dependency.is_dev && name == TESTKIT);
        return (!is_allowed).then(|| format!("the edge to {name} is not part of the hexagon"));
    }
    if dependency.is_dev {
        return None;
    }
    if package.name == DOMAIN && !DOMAIN_MAY_USE.contains(&name) {
        return Some(format!("the domain does not use {name}"));
    }
    let (_, owner) = OWNERS.iter().find(|(owned, _)| *owned == name)?;
    (*owner != package.name).then(|| format!("{name} belongs to {owner} alone"))
}

#[cfg(test)]
mod tests {
    use super::{Dependency, EDGES, Package, Report, check};

    /// Checks the hexagon with one dependency added and expects exactly one failure, or none.
    #[track_caller]
    fn check_edge(from: &str, to: &str, is_dev: bool, expected: Option<&str>) {
        let package = |name: &str| {
            let dependency = Dependency {
                name: to.to_string(),
                is_dev,
            };
            let dependencies = if name == from {
                vec![dependency]
            } else {
                Vec::new()
            };
            Package {
                name: name.to_string(),
                folder: format!("crates/{name}"),
                dependencies,
            }
        };
        let packages: Vec<Package> = EDGES.iter().map(|(name, _)| package(name)).collect();
        let mut report = Report::default();
        check(&packages, &mut report);
        let expected: Vec<&str> = expected.into_iter().collect();
        assert_eq!(report.failures(), expected);
    }

    #[test]
    fn edges_of_the_hexagon() {
        check_edge("staffa-app", "staffa-codec", false, None);
        check_edge(
            "staffa-app",
            "staffa-duckdb",
            false,
            Some(
                "crates/staffa-app/Cargo.toml: the edge to staffa-duckdb is not part of the hexagon",
            ),
        );
    }

    #[test]
    fn the_testkit_is_for_tests() {
        check_edge("staffa-http", "staffa-testkit", true, None);
        check_edge(
            "staffa-server",
            "staffa-testkit",
            false,
            Some(
                "crates/staffa-server/Cargo.toml: the edge to staffa-testkit is not part of the hexagon",
            ),
        );
    }

    #[test]
    fn outside_crates_have_one_owner() {
        check_edge("staffa-http", "axum", false, None);
        check_edge("staffa-server", "tokio-postgres", true, None);
        check_edge(
            "staffa-app",
            "axum",
            false,
            Some("crates/staffa-app/Cargo.toml: axum belongs to staffa-http alone"),
        );
    }

    #[test]
    fn the_domain_has_a_short_list() {
        check_edge("staffa-domain", "uuid", false, None);
        check_edge(
            "staffa-domain",
            "tokio",
            false,
            Some("crates/staffa-domain/Cargo.toml: the domain does not use tokio"),
        );
    }
}
