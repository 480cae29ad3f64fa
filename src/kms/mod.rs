//! The key management service: key groups and keys in a sealed store, a web service for hosts and administrators, an audit chain.
//!
//! A group key of kind "derived" never leaves this room; what leaves was made durable and audited first. Standards: TLS 1.3 with client
//! certificates (X.509), HTTP/1.1, JSON; the messages are in `kms_api`.

mod admissions;
pub mod audit;
mod auth;
mod candidates;
mod certificates;
pub mod command;
pub mod config;
pub mod connector;
mod enrollments;
mod heads;
mod health;
pub mod init;
pub mod join;
pub mod kit;
mod lifecycle;
pub mod master_key;
mod metrics;
pub mod model;
pub mod pki;
mod rate;
pub mod releases;
pub mod requests;
mod restore;
mod rotation;
mod routes;
pub mod schedule;
pub mod seal;
mod sealing;
pub mod select;
pub mod server;
pub mod servers;
pub mod service;
pub mod snapshot;
mod status;
pub mod store;
mod supply;
mod tls_time;
pub mod upkeep;
pub mod verify;
