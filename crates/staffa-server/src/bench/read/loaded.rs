//! The records that all read scenarios share: in a server, and in the raw engine.

use std::time::Duration;

use anyhow::ensure;
use uuid::Uuid;

use crate::bench::bed::Bed;
use crate::bench::client::{fetch, get};
use crate::bench::data::INDEXED_1;
use crate::bench::ids;
use crate::bench::raw::Raw;
use crate::bench::server::Server;
use crate::bench::write;

/// The schema that is read from: `well_code` is indexed, nothing else.
pub(crate) const SCHEMA: &str = INDEXED_1;

/// The table of the raw engine and of PostgreSQL.
pub(crate) const TABLE: &str = "reads";

/// Stored records.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The server that has them.
    pub(crate) server: Server,
    /// How many.
    pub(crate) rows: u64,
    /// Their ids.
    pub(crate) ids: Vec<Uuid>,
    /// The raw engine with the same rows, where references are wanted.
    pub(crate) raw: Option<Raw>,
}

impl Loaded {
    /// Stores the records. A server that was named may have them already.
    pub(crate) fn new(bed: &mut Bed<'_>) -> anyhow::Result<Self> {
        let rows = bed.args().rows_or(5_000_000);
        let file = bed.ndjson(rows)?;
        let raw = bed.raw()?;
        if let Some(raw) = &raw {
            bed.say("loading the raw engine");
            raw.table(TABLE, true, 1)?;
            raw.fill(TABLE, &file)?;
            raw.checkpoint()?;
        }
        if let Some(cluster) = bed.cluster()? {
            bed.say("loading PostgreSQL");
            cluster.fill(TABLE, &bed.csv(rows)?)?;
        }
        let server = bed.server()?;
        let stored = count(&server)?;
        ensure!(
            stored == 0 || stored == rows,
            "the server has {stored} records, not {rows}"
        );
        if stored == 0 {
            bed.say("loading the server");
            write::ingest(&server, SCHEMA, "application/x-ndjson", &file)?;
        }
        let ids = ids::read(server.address(), SCHEMA, rows)?;
        ensure!(
            ids.len() as u64 == rows,
            "the server streams {} ids of {rows}",
            ids.len()
        );
        // So that the checkpoint after the load is over when measuring begins.
        std::thread::sleep(Duration::from_secs(if bed.args().quick { 1 } else { 8 }));
        Ok(Self {
            server,
            rows,
            ids,
            raw,
        })
    }
}

/// How often a second PostgreSQL answers a question about a random id, where it is there.
pub(super) fn clustered(
    bed: &Bed<'_>,
    condition: &str,
    loaded: &Loaded,
    clients: usize,
) -> anyhow::Result<Option<f64>> {
    let Some(cluster) = bed.cluster()? else {
        return Ok(None);
    };
    let time = bed.args().time() / 2;
    Ok(Some(cluster.select(
        (TABLE, condition),
        loaded.rows,
        clients,
        time,
    )?))
}

fn count(server: &Server) -> anyhow::Result<u64> {
    let path = format!("/api/v1/records/{SCHEMA}/count");
    let (status, body) = fetch(server.address(), &get(&path, ""))?;
    let json: serde_json::Value = serde_json::from_slice(&body)?;
    let count = json.get("count").and_then(serde_json::Value::as_u64);
    count.ok_or_else(|| anyhow::anyhow!("the server does not count: {status} {json}"))
}
