//! What the server is and how it is set: what must be so, and what should be.

use std::collections::HashMap;

use tokio_postgres::Client;

use crate::error::OpenError;
use crate::options::Distribution;

/// The oldest PostgreSQL that will do.
const VERSION_MIN: u32 = 15;

const SETTINGS: &str = "SELECT name, setting FROM pg_settings WHERE name IN \
     ('server_version_num', 'server_encoding', 'fsync', 'full_page_writes')";
const CITUS: &str = "SELECT extversion FROM pg_extension WHERE extname = 'citus'";
/// Asks each node of a cluster for those of its settings that make it forget.
const NODES: &str = "SELECT nodeid, success, result FROM run_command_on_all_nodes($$ \
     SELECT coalesce(string_agg(name, ', ' ORDER BY name), '') FROM pg_settings \
     WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' $$)";

/// Refuses a server on which Staffa cannot work, and warns of one that loses writes.
pub(crate) async fn inspect(client: &Client, distribution: Distribution) -> Result<(), OpenError> {
    let rows = client.query(SETTINGS, &[]).await;
    let rows = rows.map_err(OpenError::Connect)?;
    let settings: HashMap<&str, &str> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let setting = |name: &str| settings.get(name).copied().unwrap_or_default();
    check_version(setting("server_version_num"))?;
    let encoding = setting("server_encoding");
    if encoding != "UTF8" {
        return Err(OpenError::Encoding(encoding.to_owned()));
    }
    for name in ["fsync", "full_page_writes"] {
        if setting(name) == "off" {
            tracing::warn!(
                setting = name,
                "the database runs with {name} = off: a crash of its machine loses records that \
                 were acknowledged, or all of them"
            );
        }
    }
    match distribution {
        Distribution::None => Ok(()),
        Distribution::Citus => inspect_cluster(client).await,
    }
}

fn check_version(number: &str) -> Result<(), OpenError> {
    let found = number.parse::<u32>().unwrap_or_default() / 10_000;
    if found >= VERSION_MIN {
        return Ok(());
    }
    Err(OpenError::Version {
        found: found.to_string(),
        wanted: VERSION_MIN,
    })
}

async fn inspect_cluster(client: &Client) -> Result<(), OpenError> {
    let extension = client.query_opt(CITUS, &[]).await;
    if extension.map_err(OpenError::Connect)?.is_none() {
        return Err(OpenError::NoCitus);
    }
    let nodes = client.query(NODES, &[]).await;
    for node in nodes.map_err(OpenError::Connect)? {
        let (id, success, result): (i32, bool, &str) = (node.get(0), node.get(1), node.get(2));
        if !success {
            tracing::warn!(node = id, "a node of the cluster does not answer");
        } else if !result.is_empty() {
            tracing::warn!(
                node = id,
                settings = result,
                "a node of the cluster runs with {result} = off: a crash of its machine loses \
                 records that were acknowledged, or all of them"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_version;

    #[test]
    fn versions_from_fifteen_on_will_do() {
        for number in ["150000", "150018", "180001"] {
            assert!(check_version(number).is_ok(), "{number}");
        }
        for (number, found) in [("140012", "14"), ("90624", "9"), ("", "0")] {
            let error = check_version(number).unwrap_err().to_string();
            assert!(error.contains(&format!("has version {found},")), "{error}");
        }
    }
}
