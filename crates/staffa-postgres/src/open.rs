//! Opening the storage: reach the server, look at it, lay out what it must hold, start the
//! lanes.

use std::sync::Arc;
use std::time::Duration;

use staffa_domain::ports::Storage;

use crate::catalog::{Catalog, Listener};
use crate::connector::{Connector, Limits};
use crate::error::OpenError;
use crate::inspect::inspect;
use crate::lane::{Lanes, Writer};
use crate::layout::{SharedSecret, lay_out};
use crate::mend::Mender;
use crate::monitor::{Health, Monitor};
use crate::options::Options;
use crate::point::Points;
use crate::pool::{Pool, Terms};
use crate::reader::Reader;

/// How long a bulk write's transaction may wait for its next statement: a server that hangs
/// must not hold back others for ever.
const BULK_IDLE: Duration = Duration::from_secs(600);

/// An open storage, and what the servers of its database share.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The ports.
    pub storage: Storage,
    /// The same for each server that opens this database.
    pub secret: SharedSecret,
}

/// Opens the storage that these options describe. Safe for many servers at the same time.
///
/// # Panics
/// Outside a tokio runtime: connections are driven by tasks.
pub async fn open(options: Options) -> Result<Opened, OpenError> {
    let connector = Connector::new(&options)?;
    let secret = {
        let client = connector.connect_alone().await?;
        inspect(&client, options.distribution).await?;
        lay_out(&client).await?
    };
    let health = Arc::new(Health::default());
    let pools = Pools::new(&connector, &options, &health)?;
    let listener = Listener::start(connector.clone(), Arc::clone(&health));
    let connections = (pools.changes, pools.looks);
    let catalog = Catalog::new(connections, &options, Arc::clone(&listener));
    let lanes = Arc::new(Lanes::start(&pools.writes, &health, &options));
    let points = Arc::new(Points::start(&pools.points, options.read_queue));
    let monitor = Monitor {
        health: Arc::clone(&health),
        lanes: Arc::clone(&lanes),
        points: Arc::clone(&points),
        listener,
        mender: Mender::start(Arc::clone(&health), pools.writes),
        reads: Arc::clone(&pools.reads),
        streams: Arc::clone(&pools.streams),
        bulk: Arc::clone(&pools.bulk),
    };
    let storage = Storage {
        catalog: Arc::new(catalog),
        writer: Arc::new(Writer {
            lanes,
            sessions: pools.bulk,
            health: Arc::clone(&health),
            distribution: options.distribution,
        }),
        reader: Arc::new(Reader {
            points,
            reads: pools.reads,
            streams: pools.streams,
            connector,
            health,
            distribution: options.distribution,
        }),
        monitor: Arc::new(monitor),
    };
    Ok(Opened { storage, secret })
}

/// A pool for each kind of work, so that none waits behind another kind.
struct Pools {
    reads: Arc<Pool>,
    points: Arc<Pool>,
    streams: Arc<Pool>,
    writes: Arc<Pool>,
    bulk: Arc<Pool>,
    changes: Arc<Pool>,
    /// The catalog is read also while a change takes long.
    looks: Arc<Pool>,
}

impl Pools {
    fn new(
        connector: &Connector,
        options: &Options,
        health: &Arc<Health>,
    ) -> Result<Self, OpenError> {
        let query = Limits {
            statement: Some(options.query_timeout),
            idle: Some(options.query_timeout),
            lock: None,
        };
        let short_write = Limits {
            lock: Some(options.lock_timeout),
            ..query
        };
        let stream = Limits {
            statement: options.stream_timeout,
            ..query
        };
        // A bulk write lasts as long as its body takes to arrive.
        let bulk = Limits {
            statement: None,
            idle: Some(BULK_IDLE),
            lock: Some(options.query_timeout),
        };
        // A change of the catalog may build an index, and sets its own limits for locks.
        let change = Limits {
            statement: None,
            ..query
        };
        let pool = |limits, size, queue, patience| {
            let terms = Terms {
                size,
                queue,
                patience,
            };
            Pool::new(connector, limits, terms, Arc::clone(health)).map(Arc::new)
        };
        let patience = Some(options.query_timeout);
        let points = (options.pool_size / 4).clamp(1, 4);
        Ok(Self {
            reads: pool(query, options.pool_size, options.read_queue, patience)?,
            points: pool(query, points, usize::MAX, patience)?,
            streams: pool(stream, options.stream_pool_size, 0, patience)?,
            writes: pool(short_write, options.write_lanes, usize::MAX, patience)?,
            bulk: pool(bulk, options.bulk_sessions_max, options.write_queue, None)?,
            changes: pool(change, 1, usize::MAX, None)?,
            looks: pool(query, 1, usize::MAX, patience)?,
        })
    }
}
