//! Opening the storage: reach the server, look at it, lay out the catalog, start the lanes.

use std::sync::Arc;

use staffa_domain::ports::Storage;

use crate::catalog::{Catalog, Listener};
use crate::error::OpenError;
use crate::lane::{Lanes, Writer};
use crate::monitor::{Health, Monitor};
use crate::options::Options;
use crate::point::Points;
use crate::pool::{Connector, Limits, Pool};
use crate::reader::Reader;

/// The oldest PostgreSQL that will do.
const VERSION_MIN: u32 = 15;

/// Opens the storage that these options describe. Safe for many servers at the same time.
///
/// # Panics
/// Outside a tokio runtime: connections are driven by tasks.
pub async fn open(options: Options) -> Result<Storage, OpenError> {
    let connector = Connector::new(&options)?;
    check_version(&connector).await?;
    let health = Arc::new(Health::default());
    let query = Limits {
        statement: Some(options.query_timeout),
        idle: Some(options.query_timeout),
    };
    let stream = Limits {
        statement: options.stream_timeout,
        idle: Some(options.query_timeout),
    };
    // A bulk write lasts as long as its body takes to arrive.
    let bulk = Limits {
        statement: None,
        idle: None,
    };
    let pool = |limits, size, queue, patience| {
        let pool = connector.pool(limits, size)?;
        Ok::<_, OpenError>(Arc::new(Pool::new(
            pool,
            Arc::clone(&health),
            queue,
            patience,
        )))
    };
    let patience = Some(options.query_timeout);
    let reads = pool(query, options.pool_size, options.read_queue, patience)?;
    let streams = pool(stream, options.stream_pool_size, 0, patience)?;
    let sessions = pool(bulk, options.bulk_sessions_max, usize::MAX, None)?;
    let writes = pool(query, options.write_lanes, usize::MAX, patience)?;
    // One for the reads that share a query: they must not wait behind scans.
    let point_pool = pool(query, point_lanes(&options), usize::MAX, patience)?;
    let changes = pool(bulk, 1, usize::MAX, None)?;

    let listener = Listener::start(connector.clone(), Arc::clone(&health));
    let catalog = Catalog::open(changes, &options, listener.id()).await?;
    let lanes = Arc::new(Lanes::start(writes, &health, &options));
    let points = Arc::new(Points::start(
        point_pool,
        point_lanes(&options),
        options.read_queue,
    ));
    let monitor = Monitor {
        health: Arc::clone(&health),
        lanes: Arc::clone(&lanes),
        points: Arc::clone(&points),
        listener: Arc::clone(&listener),
        reads: Arc::clone(&reads),
        streams: Arc::clone(&streams),
        bulk: Arc::clone(&sessions),
    };
    Ok(Storage {
        catalog: Arc::new(catalog.with_listener(listener)),
        writer: Arc::new(Writer {
            lanes,
            sessions,
            health: Arc::clone(&health),
            distribution: options.distribution,
        }),
        reader: Arc::new(Reader {
            points,
            reads,
            streams,
            connector,
            health,
            distribution: options.distribution,
        }),
        monitor: Arc::new(monitor),
    })
}

fn point_lanes(options: &Options) -> usize {
    (options.pool_size / 4).clamp(1, 4)
}

async fn check_version(connector: &Connector) -> Result<(), OpenError> {
    let (client, mut messages) = connector.listen().await.map_err(OpenError::Connect)?;
    let ask = client.simple_query("SHOW server_version_num");
    let drive = async {
        use futures_util::StreamExt;
        while let Some(Ok(_)) = messages.next().await {}
    };
    let answer = tokio::select! {
        answer = ask => answer.map_err(OpenError::Connect)?,
        // The connection ended, so the question never will.
        () = drive => Vec::new(),
    };
    let found = answer.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0)?.parse::<u32>().ok(),
        _ => None,
    });
    match found {
        Some(version) if version / 10_000 >= VERSION_MIN => Ok(()),
        _ => Err(OpenError::Version {
            found: found.map_or_else(String::new, |version| (version / 10_000).to_string()),
            wanted: VERSION_MIN,
        }),
    }
}
