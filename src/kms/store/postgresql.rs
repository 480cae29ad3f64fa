//! PostgreSQL: a store that several nodes share. Its tables are in a schema of its own, `tapekey`.
//!
//! One writer at a time over all nodes: a transaction for changes takes one advisory lock, and the server ends it if its node stops in the
//! middle. Every wait is bounded on both ends. A lost connection fails the transaction at hand; the next one connects again.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

use super::StoreError;
use super::database::{Access, Database};
use super::dialect::{placeholders, tables, type_of};
use super::place::PostgresqlPlace;
use super::postgresql_link::{self, said};
use super::schema::{TABLES, VERSION};
use super::value::{Columns, Row, Value};

/// The writers' lock: "TKMS". Advisory locks are per database.
const WRITERS_LOCK: i64 = 0x544B_4D53;

/// Longest wait for one answer of the server; its own limit on a statement is shorter.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(25);

/// The same where every row is looked at.
const LOOKING_TIMEOUT: Duration = Duration::from_secs(630);

/// Tries to connect while the server starts, and the time between two.
const CONNECT_TRIES: u32 = 15;
const CONNECT_PAUSE: Duration = Duration::from_millis(200);

/// Statements kept prepared: more than this program has.
const STATEMENTS_MAX: usize = 256;

/// What a connection is for, which decides its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Requests: short transactions.
    Serving,
    /// Looking at everything, and copying.
    Looking,
}

impl Use {
    fn answer_timeout(self) -> Duration {
        match self {
            Self::Serving => ANSWER_TIMEOUT,
            Self::Looking => LOOKING_TIMEOUT,
        }
    }

    /// Limits for this connection, whatever the server has for others.
    fn settings(self) -> &'static str {
        match self {
            Self::Serving => {
                "SET statement_timeout = '20s'; SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '3s';"
            }
            Self::Looking => {
                "SET statement_timeout = '600s'; SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '600s';"
            }
        }
    }
}

/// How the transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    None,
    Whole,
    Failed,
}

/// One connection, made again when it is lost.
pub(super) struct Postgresql {
    place: PostgresqlPlace,
    usage: Use,
    runtime: Option<Runtime>,
    link: RefCell<Option<Link>>,
    state: Cell<State>,
}

/// A connection that stands.
struct Link {
    client: Client,
    driver: JoinHandle<()>,
    statements: HashMap<String, (Statement, Columns)>,
}

impl Postgresql {
    /// Connects to the store at `place` and looks whether it is one.
    pub(super) fn open(place: &PostgresqlPlace, usage: Use) -> Result<Self, StoreError> {
        let postgresql = Self::connect(place, usage)?;
        if !postgresql.has_tables()? {
            return Err(StoreError::NoTables {
                place: place.to_string(),
            });
        }
        match postgresql.version()? {
            VERSION => Ok(postgresql),
            found => Err(StoreError::OtherVersion {
                store: place.to_string(),
                found,
                known: VERSION,
            }),
        }
    }

    /// Connects and looks that there are no tables yet.
    pub(super) fn empty(place: &PostgresqlPlace) -> Result<Self, StoreError> {
        let postgresql = Self::connect(place, Use::Looking)?;
        if postgresql.has_tables()? {
            return Err(StoreError::HasTables {
                place: place.to_string(),
            });
        }
        Ok(postgresql)
    }

    /// Makes the tables, inside the transaction that fills them.
    pub(super) fn make_tables(&self) -> Result<(), StoreError> {
        if self
            .rows("SELECT 1 FROM pg_namespace WHERE nspname = 'tapekey'", &[])?
            .is_empty()
        {
            self.batch("CREATE SCHEMA tapekey")?;
        }
        self.batch(&format!(
            "CREATE TABLE layout (version BIGINT PRIMARY KEY); INSERT INTO layout VALUES ({VERSION}); {}",
            tables(TABLES)
        ))
    }

    fn connect(place: &PostgresqlPlace, usage: Use) -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StoreError::Thread)?;
        let postgresql = Self {
            place: place.clone(),
            usage,
            runtime: Some(runtime),
            link: RefCell::new(None),
            state: Cell::new(State::None),
        };
        postgresql.link.replace(Some(postgresql.new_link()?));
        Ok(postgresql)
    }

    fn has_tables(&self) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM pg_tables WHERE schemaname = 'tapekey' AND tablename = 'layout'";
        Ok(!self.rows(sql, &[])?.is_empty())
    }

    /// A server that starts is waited for, one that is not there or says no is not.
    fn new_link(&self) -> Result<Link, StoreError> {
        let (place, usage) = (&self.place, self.usage);
        self.wait_for(async || {
            let mut tries = 0;
            loop {
                tries += 1;
                match postgresql_link::connect(place, usage.settings()).await {
                    Err(failed) if failed.may_be_starting && tries < CONNECT_TRIES => sleep(CONNECT_PAUSE).await,
                    Err(failed) => return Err(failed.error),
                    Ok((client, driver)) => {
                        return Ok(Link {
                            client,
                            driver,
                            statements: HashMap::new(),
                        });
                    }
                }
            }
        })
    }

    /// Does `work` on this connection's own small runtime; from inside another one, on a thread of its own.
    fn wait_for<T: Send>(&self, work: impl AsyncFnOnce() -> Result<T, StoreError> + Send) -> Result<T, StoreError> {
        let runtime = self.runtime.as_ref().ok_or(StoreError::Stopped)?;
        if Handle::try_current().is_err() {
            return runtime.block_on(work());
        }
        thread::scope(|scope| {
            let apart = scope.spawn(|| runtime.block_on(work()));
            apart.join().map_err(|_| StoreError::Stopped)?
        })
    }

    /// Does `work` on the connection that stands, or on a new one if no transaction was lost with the old one.
    fn call<T: Send>(&self, work: impl AsyncFnOnce(&mut Link) -> Result<T, Error> + Send) -> Result<T, StoreError> {
        let lost = || StoreError::ConnectionLost {
            place: self.place.to_string(),
        };
        let mut link = match self.link.take().filter(|link| !link.client.is_closed()) {
            Some(link) => link,
            None if self.state.get() == State::None => self.new_link()?,
            None => {
                self.state.set(State::Failed);
                return Err(lost());
            }
        };
        let limit = self.usage.answer_timeout();
        let answered = self.wait_for(async || Ok(timeout(limit, work(&mut link)).await));
        let failed = match answered? {
            Ok(Ok(value)) => {
                self.link.replace(Some(link));
                return Ok(value);
            }
            Ok(Err(error)) if error.as_db_error().is_some() => {
                self.link.replace(Some(link));
                StoreError::Postgresql { said: said(&error) }
            }
            Ok(Err(_)) => lost(),
            Err(_) => StoreError::NoAnswer {
                place: self.place.to_string(),
                seconds: limit.as_secs(),
            },
        };
        if self.state.get() == State::Whole {
            self.state.set(State::Failed);
        }
        Err(failed)
    }

    fn begin_once(&self, access: Access) -> Result<(), StoreError> {
        let sql = match access {
            Access::Reading => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".to_owned(),
            Access::Writing => {
                format!("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({WRITERS_LOCK})")
            }
        };
        let begun = self.call(async |link| match link.client.batch_execute(&sql).await {
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Ok(false),
            begun => begun.map(|()| true),
        });
        match begun {
            Ok(true) => {
                self.state.set(State::Whole);
                Ok(())
            }
            Ok(false) => {
                self.state.set(State::Failed);
                self.rollback();
                Err(StoreError::WritersLock {
                    place: self.place.to_string(),
                })
            }
            Err(error) => {
                self.state.set(State::Failed);
                self.rollback();
                Err(error)
            }
        }
    }
}

impl Database for Postgresql {
    fn execute(&self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        self.call(async |link| {
            let (statement, _) = link.prepared(sql, values).await?;
            link.client.execute(&statement, &parameters(values)).await
        })
    }

    fn rows(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.call(async |link| {
            let (statement, columns) = link.prepared(sql, values).await?;
            let found = link.client.query(&statement, &parameters(values)).await?;
            let mut rows = Vec::with_capacity(found.len());
            for row in found {
                let values = (0..row.len()).map(|index| row.try_get(index));
                rows.push(Row::new(columns.clone(), values.collect::<Result<_, _>>()?));
            }
            Ok(rows)
        })
    }

    fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.call(async |link| link.client.batch_execute(sql).await)?;
        if sql.starts_with("ROLLBACK TO") && self.state.get() == State::Failed {
            self.state.set(State::Whole);
        }
        Ok(())
    }

    fn begin(&self, access: Access) -> Result<(), StoreError> {
        self.state.set(State::None);
        match self.begin_once(access) {
            // The connection was lost since the last transaction, so nothing is lost with it.
            Err(StoreError::ConnectionLost { .. }) => self.begin_once(access),
            begun => begun,
        }
    }

    fn commit(&self) -> Result<(), StoreError> {
        // The server would answer COMMIT of a failed transaction with a friendly ROLLBACK.
        if !self.is_whole() {
            return Err(StoreError::Undone);
        }
        let committed = self.call(async |link| match link.client.batch_execute("COMMIT").await {
            Err(error) if is_refusal(&error) => Ok(Err(said(&error))),
            committed => committed.map(Ok),
        });
        self.state.set(State::None);
        match committed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(said)) => Err(StoreError::Postgresql { said }),
            Err(error) => Err(StoreError::InDoubt {
                reason: super::error::first_line(&error),
            }),
        }
    }

    fn rollback(&self) {
        if self.state.get() != State::None && self.batch("ROLLBACK").is_err() {
            // The server undoes it when the connection goes.
            drop(self.link.take());
        }
        self.state.set(State::None);
    }

    fn is_whole(&self) -> bool {
        self.state.get() == State::Whole
    }

    fn version(&self) -> Result<i32, StoreError> {
        let row = self.rows("SELECT version FROM layout", &[])?.into_iter().next();
        let version: i64 = super::column(row, || "the version of the tables".to_owned())?.get("version")?;
        Ok(i32::try_from(version).unwrap_or(i32::MAX))
    }

    /// PostgreSQL keeps references and unique indexes itself; that indexes fit their tables is for its own amcheck.
    fn look_at_structure(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }
}

/// Whether the server said a plain no, and so has undone the transaction. When it shuts down or breaks, it may have committed.
fn is_refusal(error: &Error) -> bool {
    use tokio_postgres::error::Severity;
    error
        .as_db_error()
        .is_some_and(|error| error.parsed_severity() == Some(Severity::Error))
}

fn parameters(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl Link {
    async fn prepared(&mut self, sql: &str, values: &[Value]) -> Result<(Statement, Columns), Error> {
        let types: Vec<_> = values.iter().map(type_of).collect();
        let key = types
            .iter()
            .fold(sql.to_owned(), |key, kind| format!("{key} {}", kind.oid()));
        if let Some(known) = self.statements.get(&key) {
            return Ok(known.clone());
        }
        if self.statements.len() >= STATEMENTS_MAX {
            self.statements.clear();
        }
        let statement = self.client.prepare_typed(&placeholders(sql), &types).await?;
        let columns: Columns = statement
            .columns()
            .iter()
            .map(|column| column.name().to_owned())
            .collect();
        self.statements.insert(key, (statement.clone(), columns.clone()));
        Ok((statement, columns))
    }
}

impl Drop for Postgresql {
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            // So that the server sees an end and no broken connection.
            let _ = self.wait_for(async || {
                let Link { client, driver, .. } = link;
                drop(client);
                Ok(timeout(CONNECT_PAUSE, driver).await)
            });
        }
        if let Some(runtime) = self.runtime.take() {
            // A plain drop waits, which another runtime's thread must not.
            runtime.shutdown_background();
        }
    }
}
