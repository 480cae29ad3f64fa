//! Whether the KMS can be reached with our certificate, and what that says: for people who look why no key comes. Nothing is changed or audited
//! but the connection: every certificate may read the description of the web service.

use reqwest::header;
use time::format_description::well_known::Rfc2822;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::KmsClient;
use super::ask::{no_answer, read};
use crate::clock::Timestamp;
use crate::kms_api::{ErrorAnswer, OPENAPI_PATH};

/// What a URI of a role begins with, among a certificate's alternative names.
const ROLE_PREFIX: &str = "tapekey:role:";

/// What one address of the KMS answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLook {
    /// The address.
    pub address: String,
    /// How far its clock is ahead of ours, if it told its time; or why it did not answer as it should, with the remedy in a last line.
    pub answer: Result<Option<time::Duration>, String>,
}

/// What stands in our own certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnCertificateFacts {
    /// Our name.
    pub name: String,
    /// Our role, as the certificate spells it; `None` if it names none.
    pub role: Option<String>,
    /// Its last moment.
    pub not_after: Timestamp,
}

impl KmsClient {
    /// Asks every address, one after the other.
    pub async fn look_at_nodes(&self) -> Vec<NodeLook> {
        let mut looks = Vec::new();
        for address in &self.addresses {
            let answer = self.look_at_node(address.join(OPENAPI_PATH, &[])).await;
            looks.push(NodeLook {
                address: address.to_string(),
                answer,
            });
        }
        looks
    }

    async fn look_at_node(&self, url: reqwest::Url) -> Result<Option<time::Duration>, String> {
        let limit = self.timeout;
        let response = self.own().http.get(url).timeout(limit).send().await;
        let now = self.clock.now();
        let response = response.map_err(|error| no_answer(&error, limit).to_string())?;
        let status = response.status();
        let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
        let told = date.and_then(|date| Timestamp::parse(date, &Rfc2822).ok());
        let body = read(response, limit).await.map_err(|error| error.to_string())?;
        if status.is_success() {
            return Ok(told.map(|told| told - now));
        }
        Err(match serde_json::from_slice::<ErrorAnswer>(&body) {
            Ok(answer) => format!("it refused ({status}): {}\nhint: {}", answer.error, answer.hint),
            Err(_) => format!("it answered {status}\nhint: is that address one of tapekey-kms?"),
        })
    }

    /// What stands in our own certificate; `None` without one, or if it cannot be read.
    #[must_use]
    pub fn own_certificate(&self) -> Option<OwnCertificateFacts> {
        let (der, _, not_after) = self.own().certificate?;
        let (_, parsed) = X509Certificate::from_der(&der).ok()?;
        let name = parsed.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
        let names = parsed.subject_alternative_name().ok()?;
        let role = names.and_then(|names| names.value.general_names.iter().find_map(role_in));
        Some(OwnCertificateFacts { name, role, not_after })
    }
}

fn role_in(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::URI(uri) => uri.strip_prefix(ROLE_PREFIX).map(str::to_owned),
        _ => None,
    }
}
