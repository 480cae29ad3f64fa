//! What administrators ask about certificates.

use reqwest::Method;

use super::KmsClient;
use super::answer::check_page;
use super::ask::Question;
use super::error::KmsClientError;
use crate::kms_api::{
    BindGroups, CERTIFICATES_PATH, CertificateList, CertificateRecord, ClientName, CreateEnrollment, ENROLLMENTS_PATH,
    EnrollmentList, EnrollmentRecord, EnrollmentToken, PageQuery, RevokeCertificates,
};

impl KmsClient {
    /// All certificates that the KMS issued, by name.
    ///
    /// # Errors
    /// `Refused` if our role does not allow it.
    pub async fn certificates(&self) -> Result<Vec<CertificateRecord>, KmsClientError> {
        let (mut certificates, mut after) = (Vec::new(), None);
        loop {
            let query = PageQuery { group: None, after };
            let question = Question::new("list certificates".to_owned(), Method::GET, CERTIFICATES_PATH).query(query);
            let (page, _): (CertificateList, _) = self
                .ask(&question, |page: &CertificateList| {
                    check_page(&page.certificates, &page.next)
                })
                .await?;
            certificates.extend(page.certificates);
            after = page.next;
            if after.is_none() {
                return Ok(certificates);
            }
        }
    }

    /// Ends certificates of `name`, at once; those that were ended.
    ///
    /// # Errors
    /// `Refused` if none is valid, if it is the last administrator's, or our role does not allow it.
    pub async fn revoke(
        &self,
        name: &ClientName,
        wanted: &RevokeCertificates,
    ) -> Result<Vec<CertificateRecord>, KmsClientError> {
        let question = Question::new(
            format!("revoke certificates of {name}"),
            Method::POST,
            CERTIFICATES_PATH,
        );
        let names = vec![name.as_str(), "revoke"];
        let ended: CertificateList = self.change(question.names(names).body(wanted)).await?;
        Ok(ended.certificates)
    }

    /// Binds a media server to other groups; its valid certificates.
    ///
    /// # Errors
    /// `Refused` if it has no valid certificate, is no media server, or our role does not allow it.
    pub async fn bind_groups(
        &self,
        name: &ClientName,
        wanted: &BindGroups,
    ) -> Result<Vec<CertificateRecord>, KmsClientError> {
        let question = Question::new(
            format!("bind {name} to {}", wanted.binding),
            Method::POST,
            CERTIFICATES_PATH,
        );
        let names = vec![name.as_str(), "groups"];
        let bound: CertificateList = self.change(question.names(names).body(wanted)).await?;
        Ok(bound.certificates)
    }

    /// A token for a new host.
    ///
    /// # Errors
    /// `Refused` if the name is held, the groups do not fit the role, no request of two administrators is due for a further one, or our role
    /// does not allow it.
    pub async fn create_enrollment(&self, wanted: &CreateEnrollment) -> Result<EnrollmentToken, KmsClientError> {
        let attempt = format!("make an enrollment token for {}", wanted.name);
        let question = Question::new(attempt, Method::POST, ENROLLMENTS_PATH);
        self.change(question.body(wanted)).await
    }

    /// The tokens that can still be used, by name.
    ///
    /// # Errors
    /// `Refused` if our role does not allow it.
    pub async fn enrollments(&self) -> Result<Vec<EnrollmentRecord>, KmsClientError> {
        let (mut enrollments, mut after) = (Vec::new(), None);
        loop {
            let query = PageQuery { group: None, after };
            let question =
                Question::new("list enrollment tokens".to_owned(), Method::GET, ENROLLMENTS_PATH).query(query);
            let (page, _): (EnrollmentList, _) = self
                .ask(&question, |page: &EnrollmentList| {
                    check_page(&page.enrollments, &page.next)
                })
                .await?;
            enrollments.extend(page.enrollments);
            after = page.next;
            if after.is_none() {
                return Ok(enrollments);
            }
        }
    }

    /// Cancels the tokens for `name` that can still be used; which they were.
    ///
    /// # Errors
    /// `Refused` if there is none, or our role does not allow it.
    pub async fn cancel_enrollments(&self, name: &ClientName) -> Result<Vec<EnrollmentRecord>, KmsClientError> {
        let attempt = format!("cancel enrollment tokens for {name}");
        let question = Question::new(attempt, Method::POST, ENROLLMENTS_PATH);
        let cancelled: EnrollmentList = self.change(question.names(vec![name.as_str(), "cancel"])).await?;
        Ok(cancelled.enrollments)
    }
}
