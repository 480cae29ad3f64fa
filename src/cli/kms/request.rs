//! `tapekey kms request`: what needs two administrators and a waiting time, from the asking to the end.

use clap::Subcommand;

use super::failure;
use crate::cli::output::{Failure, Output, Table};
use crate::clock::to_text;
use crate::kms_api::{
    AdminChange, AdminRequest, AdminRequestState, GroupName, KeyName, NewAdminRequest, UndoAdminRequest,
};
use crate::kms_client::KmsClient;

/// Verbs for requests.
#[derive(Debug, Subcommand)]
pub(super) enum RequestVerb {
    /// Ask that the bytes of a key be deleted; its record stays. Only of prelive and terminated keys
    DeleteKey {
        /// The group
        group: GroupName,
        /// The key
        key: KeyName,
        /// Why; kept for ever
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Ask that a group be deleted that has never had a key
    DeleteGroup {
        /// The group
        group: GroupName,
        /// Why; kept for ever
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Approve a request of another administrator; its time comes 30 days of service later
    Approve {
        /// The request's number
        number: i64,
    },
    /// Take a request back, whoever made it
    Undo {
        /// The request's number
        number: i64,
        /// Why; kept for ever
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// List the requests that are open
    List {
        /// Also those that have ended
        #[arg(long)]
        all: bool,
    },
    /// Show everything about one request
    Show {
        /// The request's number
        number: i64,
    },
}

/// Carries out `verb`.
pub(super) async fn run(client: &KmsClient, verb: RequestVerb, output: &mut Output<'_>) -> Result<(), Failure> {
    let request = match verb {
        RequestVerb::DeleteKey { group, key, reason } => {
            let change = AdminChange::DeleteKey { group, key };
            client.make_request(&NewAdminRequest { change, reason }).await
        }
        RequestVerb::DeleteGroup { group, reason } => {
            let change = AdminChange::DeleteGroup { group };
            client.make_request(&NewAdminRequest { change, reason }).await
        }
        RequestVerb::Approve { number } => client.approve_request(number).await,
        RequestVerb::Undo { number, reason } => client.undo_request(number, &UndoAdminRequest { reason }).await,
        RequestVerb::Show { number } => client.request(number).await,
        RequestVerb::List { all } => {
            let mut requests = client.requests().await.map_err(failure)?;
            requests.retain(|request| all || request.state.is_open());
            return output.answer(&requests, |requests| table(requests));
        }
    };
    output.answer(&request.map_err(failure)?, details)
}

fn table(requests: &[AdminRequest]) -> String {
    let mut table = Table::new(&["request", "state", "left", "what", "asked by", "approved by", "reason"]);
    for request in requests {
        table.row([
            request.number.to_string(),
            request.state.to_string(),
            left(request).unwrap_or_else(|| "-".to_owned()),
            request.change.to_string(),
            request.asked_by.clone(),
            request.approved_by.clone().unwrap_or_else(|| "-".to_owned()),
            request.reason.clone(),
        ]);
    }
    table.to_string()
}

/// Everything about one request.
pub(super) fn details(request: &AdminRequest) -> String {
    let mut table = Table::without_headings();
    table.row(["request", &request.number.to_string()]);
    table.row(["what", &request.change.to_string()]);
    if let Some(id) = request.key_id {
        table.row(["key id", &id.to_string()]);
    }
    table.row(["reason", &request.reason]);
    table.row(["state", request.state.name()]);
    table.row(["asked", &format!("{} by {}", to_text(request.asked), request.asked_by)]);
    if let (Some(at), Some(by)) = (request.approved, &request.approved_by) {
        table.row(["approved", &format!("{} by {by}", to_text(at))]);
    }
    if let Some(left) = left(request) {
        table.row(["time", &remaining(request, &left)]);
    }
    if let (Some(at), Some(by)) = (request.ended, &request.ended_by) {
        table.row(["ended", &format!("{} by {by}", to_text(at))]);
    }
    if let Some(outcome) = &request.outcome {
        table.row(["outcome", outcome]);
    }
    table.to_string()
}

/// What happens when nothing is left.
fn remaining(request: &AdminRequest, left: &str) -> String {
    let taken_back = "tapekey kms request undo takes it back";
    match (&request.change, request.state) {
        (_, AdminRequestState::Asked) => format!("{left} left for another administrator to approve it"),
        (AdminChange::AddAdmin { name }, _) if request.seconds_left == Some(0) => {
            format!("now, and for 30 days of service: tapekey kms enroll create {name} --role admin; {taken_back}")
        }
        (AdminChange::AddAdmin { .. }, _) => format!("{left} of service left until a token can be made; {taken_back}"),
        (AdminChange::DeleteKey { .. } | AdminChange::DeleteGroup { .. }, _) => {
            format!("{left} of service left until it is carried out; {taken_back}")
        }
    }
}

/// Days, or hours on the last day.
pub(super) fn left(request: &AdminRequest) -> Option<String> {
    let hours = request.seconds_left?.div_ceil(3600);
    Some(match hours {
        0..=48 => format!("{hours} h"),
        hours => format!("{} days", hours.div_ceil(24)),
    })
}
