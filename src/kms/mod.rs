//! The key management service: key groups and keys in a sealed store, a web service for hosts and administrators, an audit chain.
//!
//! A group key of kind "derived" never leaves this room; what leaves was made durable and audited first. Standards: TLS 1.3 with client
//! certificates (X.509), HTTP/1.1, JSON; the messages are in `kms_api`.

pub mod audit;
mod auth;
mod candidates;
pub mod command;
pub mod config;
pub mod init;
pub mod kit;
pub mod model;
pub mod pki;
mod restore;
mod routes;
pub mod seal;
pub mod server;
pub mod service;
pub mod snapshot;
mod status;
pub mod store;
mod supply;
pub mod verify;
