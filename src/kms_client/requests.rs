//! What needs two administrators, over the web service.

use reqwest::Method;

use super::ask::Question;
use super::{KmsClient, KmsClientError};
use crate::kms_api::{self, AdminRequest, AdminRequestList, NewAdminRequest, UndoAdminRequest};

impl KmsClient {
    /// Asks for a change that needs a second administrator.
    ///
    /// # Errors
    /// `Refused` if it may not be done, a request about it is open, or our role is not admin.
    pub async fn make_request(&self, wanted: &NewAdminRequest) -> Result<AdminRequest, KmsClientError> {
        let attempt = format!("ask to {}", wanted.change);
        self.change(Question::new(attempt, Method::POST, kms_api::REQUESTS_PATH).body(wanted))
            .await
    }

    /// Approves a request of somebody else.
    ///
    /// # Errors
    /// `Refused` if there is none, it is ours, it is not open, or our role is not admin.
    pub async fn approve_request(&self, number: i64) -> Result<AdminRequest, KmsClientError> {
        let (attempt, number) = (format!("approve request {number}"), number.to_string());
        let question = Question::new(attempt, Method::POST, kms_api::REQUESTS_PATH);
        self.change(question.names(vec![&number, "approve"])).await
    }

    /// Takes a request back.
    ///
    /// # Errors
    /// `Refused` if there is none, it has ended, or our role may not.
    pub async fn undo_request(&self, number: i64, wanted: &UndoAdminRequest) -> Result<AdminRequest, KmsClientError> {
        let (attempt, number) = (format!("undo request {number}"), number.to_string());
        let question = Question::new(attempt, Method::POST, kms_api::REQUESTS_PATH).body(wanted);
        self.change(question.names(vec![&number, "undo"])).await
    }

    /// The newest requests, newest first.
    ///
    /// # Errors
    /// `Refused` if our role may not see them.
    pub async fn requests(&self) -> Result<Vec<AdminRequest>, KmsClientError> {
        let question = Question::new("list requests".to_owned(), Method::GET, kms_api::REQUESTS_PATH);
        let (list, _): (AdminRequestList, _) = self.ask(&question, |_| Ok(())).await?;
        Ok(list.requests)
    }

    /// One request.
    ///
    /// # Errors
    /// `Refused` if there is none, or our role may not see it.
    pub async fn request(&self, number: i64) -> Result<AdminRequest, KmsClientError> {
        let (attempt, number) = (format!("show request {number}"), number.to_string());
        let question = Question::new(attempt, Method::GET, kms_api::REQUESTS_PATH).names(vec![&number]);
        Ok(self.ask(&question, |_| Ok(())).await?.0)
    }
}
