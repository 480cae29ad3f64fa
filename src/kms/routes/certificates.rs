//! `/v1/certificates`, `/v1/renewal`, `/v1/enrollments` and `/v1/enroll`: who holds which certificate.

use axum::extract::State;

use super::Front;
use super::reply::{Outcome, reply};
use crate::kms::auth::{Admin, Anybody, Json, Nothing, Permitted, SecretJson, Stranger, Viewer, Wanted};
use crate::kms_api::{
    BindGroups, CertificateList, ClientName, CreateEnrollment, Enroll, EnrollmentList, EnrollmentToken,
    IssuedCertificate, PageQuery, RenewCertificate, RevokeCertificates,
};

/// `GET`: certificates by name.
pub(super) async fn list(
    State(front): State<Front>,
    request: Permitted<Viewer, (), Wanted<PageQuery>>,
) -> Outcome<CertificateList> {
    reply(front.kms.certificates(request.payload.0.after).await)
}

/// `POST`: the end of certificates.
pub(super) async fn revoke(
    State(front): State<Front>,
    request: Permitted<Admin, ClientName, Json<RevokeCertificates>>,
) -> Outcome<CertificateList> {
    let (actor, name) = (&request.actor, request.names);
    reply(front.kms.revoke(actor, name, request.payload.0).await)
}

/// `POST`: other groups.
pub(super) async fn bind_groups(
    State(front): State<Front>,
    request: Permitted<Admin, ClientName, Json<BindGroups>>,
) -> Outcome<CertificateList> {
    let (actor, name) = (&request.actor, request.names);
    reply(front.kms.bind_groups(actor, name, request.payload.0).await)
}

/// `POST`: a successor for the asker's own certificate.
pub(super) async fn renew(
    State(front): State<Front>,
    request: Permitted<Anybody, (), Json<RenewCertificate>>,
) -> Outcome<IssuedCertificate> {
    reply(front.kms.renew(&request.actor, request.payload.0).await)
}

/// `POST`: a token.
pub(super) async fn create_enrollment(
    State(front): State<Front>,
    request: Permitted<Admin, (), Json<CreateEnrollment>>,
) -> Outcome<EnrollmentToken> {
    reply(front.kms.create_enrollment(&request.actor, request.payload.0).await)
}

/// `GET`: tokens that can be used, without the tokens themselves.
pub(super) async fn list_enrollments(
    State(front): State<Front>,
    request: Permitted<Viewer, (), Wanted<PageQuery>>,
) -> Outcome<EnrollmentList> {
    reply(front.kms.enrollments(request.payload.0.after).await)
}

/// `POST`: no token for that name can be used any more.
pub(super) async fn cancel_enrollments(
    State(front): State<Front>,
    request: Permitted<Admin, ClientName, Nothing>,
) -> Outcome<EnrollmentList> {
    reply(front.kms.cancel_enrollments(&request.actor, request.names).await)
}

/// `POST`: a certificate for a token.
pub(super) async fn enroll(
    State(front): State<Front>,
    request: Stranger<SecretJson<Enroll>>,
) -> Outcome<IssuedCertificate> {
    reply(front.kms.enroll(&request.actor, request.payload.0).await)
}
