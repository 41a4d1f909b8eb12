//! What the database holds beside the records: laid out once, however many servers start.

use std::fmt;

use tokio_postgres::Client;

use crate::error::OpenError;

/// Every change of the layout and of the catalog, of whichever server, waits for this lock.
pub(crate) const LOCK: &str = "SELECT pg_advisory_xact_lock(8391440518437827)";

const LAYOUT: &str = "
CREATE SCHEMA IF NOT EXISTS staffa;
CREATE SCHEMA IF NOT EXISTS records;
CREATE TABLE IF NOT EXISTS staffa.schemas (
    name text COLLATE \"C\" NOT NULL,
    version integer NOT NULL,
    document text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    current boolean NOT NULL,
    PRIMARY KEY (name, version)
);
CREATE UNIQUE INDEX IF NOT EXISTS schemas_current ON staffa.schemas (name) WHERE current;
CREATE TABLE IF NOT EXISTS staffa.changes (
    name text COLLATE \"C\" NOT NULL,
    version integer NOT NULL,
    steps text NOT NULL,
    records bigint NOT NULL,
    duration_micros bigint NOT NULL,
    PRIMARY KEY (name, version)
);
CREATE TABLE IF NOT EXISTS staffa.secrets (
    name text PRIMARY KEY,
    value bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);";

/// The server draws the bytes itself, so that they pass through no statement and so no log.
/// Two random ids have 244 random bits.
const DRAW: &str = "
INSERT INTO staffa.secrets (name, value)
VALUES ('shared', uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
ON CONFLICT DO NOTHING;";

const READ: &str = "SELECT value FROM staffa.secrets WHERE name = 'shared'";

/// Random bytes that all servers of one database have, and nobody who cannot read it. They
/// are kept in the database, so they outlive a changed address or password.
#[derive(Clone)]
pub struct SharedSecret(Vec<u8>);

impl SharedSecret {
    /// The bytes; none may be logged.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(***)")
    }
}

/// Makes what is missing, and answers the secret that the first server drew.
pub(crate) async fn lay_out(client: &Client) -> Result<SharedSecret, OpenError> {
    // The lock makes servers that start together take turns, since `IF NOT EXISTS` alone
    // still collides.
    let layout = format!("BEGIN;{LOCK};{LAYOUT}{DRAW}COMMIT;");
    let laid = client.batch_execute(&layout).await;
    laid.map_err(OpenError::Layout)?;
    let row = client.query_one(READ, &[]).await;
    let secret = row.and_then(|row| row.try_get(0));
    secret.map(SharedSecret).map_err(OpenError::Layout)
}
