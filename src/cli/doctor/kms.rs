//! What can be found out about the KMS with the daemon's own certificate.

use std::sync::Arc;

use super::{finding, of_error};
use crate::clock::{Clock, to_text};
use crate::control::messages::report::{Finding, Verdict};
use crate::kms_api::{Expiry, Role};
use crate::kms_client::{KmsClient, NodeLook};

/// How far clocks may differ, in seconds. Certificates just made count from a moment that must not lie ahead.
const CLOCKS_DIFFER_MAX: u64 = 60;

pub(super) async fn look(client: Option<&KmsClient>, clock: &Arc<dyn Clock>) -> Vec<Finding> {
    let Some(client) = client else {
        let text = "the configuration names none: keys come from tapekey unlock --key-fd alone";
        return vec![finding(
            Verdict::Warning,
            "configuration",
            text,
            Some("add a [kms] section, unless this host only recovers tapes"),
        )];
    };
    let mut found = certificate(client, clock);
    let nodes = client.look_at_nodes().await;
    let any_answers = nodes.iter().any(|node| node.answer.is_ok());
    found.extend(nodes.iter().flat_map(|node| of_node(node, any_answers)));
    found
}

fn certificate(client: &KmsClient, clock: &Arc<dyn Clock>) -> Vec<Finding> {
    let Some(own) = client.own_certificate() else {
        let text = "our certificate cannot be read";
        return vec![finding(
            Verdict::Wrong,
            "certificate",
            text,
            Some("enroll this host again: tapekey kms join"),
        )];
    };
    let role = own.role.as_deref().unwrap_or("none");
    let text = format!("this host is {} with role {role}", own.name);
    let role = if role == Role::MediaServer.to_string() {
        let text = format!("{text}; which groups it is bound to, tapekey kms certificate list shows an administrator");
        finding(Verdict::Ok, "role", text, None)
    } else {
        let remedy = "enroll this host as a media server: tapekey kms enroll create, tapekey kms join";
        finding(
            Verdict::Wrong,
            "role",
            format!("{text}, which gets no keys"),
            Some(remedy),
        )
    };
    let now = clock.now();
    let left = format!(
        "{} days left, until {}",
        (own.not_after - now).whole_days(),
        to_text(own.not_after)
    );
    let dates = match Expiry::at(own.not_after, now) {
        None => finding(Verdict::Ok, "certificate", left, None),
        Some(expiry) => finding(
            if expiry == Expiry::Expired {
                Verdict::Wrong
            } else {
                Verdict::Warning
            },
            "certificate",
            format!("it {expiry}: {left}"),
            Some("tapekey kms certificate renew with the daemon's bundle, or enroll this host again"),
        ),
    };
    vec![role, dates]
}

/// A node that does not answer is wrong; while another one does, keys come.
fn of_node(node: &NodeLook, any_answers: bool) -> Vec<Finding> {
    let ahead = match &node.answer {
        Err(error) => {
            let verdict = if any_answers { Verdict::Warning } else { Verdict::Wrong };
            let mut found = of_error(verdict, "reached", &format!("{}: {error}", node.address));
            let remedy = "check that tapekey-kms runs and that this host can reach it";
            found.remedy.get_or_insert_with(|| remedy.to_owned());
            return vec![found];
        }
        Ok(ahead) => ahead,
    };
    let reached = format!("{} answers and takes our certificate", node.address);
    let reached = finding(Verdict::Ok, "reached", reached, None);
    let seconds = ahead.map(time::Duration::whole_seconds);
    let clock = match seconds {
        None => finding(
            Verdict::Unknown,
            "clock",
            format!("{} did not tell its time", node.address),
            Some("compare the clocks of both hosts"),
        ),
        Some(seconds) if seconds.unsigned_abs() <= CLOCKS_DIFFER_MAX => {
            finding(Verdict::Ok, "clock", "its clock and ours agree to the minute", None)
        }
        Some(seconds) => {
            let way = if seconds > 0 { "ahead of" } else { "behind" };
            let text = format!("its clock is {} s {way} ours", seconds.unsigned_abs());
            finding(
                Verdict::Warning,
                "clock",
                text,
                Some("set both clocks by NTP: certificates count by them"),
            )
        }
    };
    vec![reached, clock]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(answer: Result<Option<i64>, &str>) -> NodeLook {
        NodeLook {
            address: "https://kms1:8443".into(),
            answer: answer
                .map(|seconds| seconds.map(time::Duration::seconds))
                .map_err(str::to_owned),
        }
    }

    #[test]
    fn clocks_that_differ_by_more_than_a_minute_are_said_to() {
        let verdict = |ahead| of_node(&node(Ok(ahead)), true)[1].verdict;
        assert_eq!([Some(60), Some(-60)].map(verdict), [Verdict::Ok; 2]);
        assert_eq!([Some(61), Some(-3600)].map(verdict), [Verdict::Warning; 2]);
        assert_eq!(verdict(None), Verdict::Unknown);
        let behind = &of_node(&node(Ok(Some(-3600))), true)[1];
        assert_eq!(behind.text, "its clock is 3600 s behind ours");
    }

    #[test]
    fn a_node_that_does_not_answer_is_wrong_unless_another_one_does() {
        let down = node(Err("no route\nhint: look at the cable"));
        assert_eq!(of_node(&down, false)[0].verdict, Verdict::Wrong);
        let found = &of_node(&down, true)[0];
        assert_eq!(
            (found.verdict, found.remedy.as_deref()),
            (Verdict::Warning, Some("look at the cable"))
        );
        assert!(of_node(&node(Err("no route")), false)[0].remedy.is_some());
    }
}
