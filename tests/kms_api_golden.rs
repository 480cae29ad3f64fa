//! Every message of the KMS web service against its golden JSON: what it reads as, what it is written as, and that requests with a field
//! too many are refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tapekey::kms_api::{
    AddServer, AdminRequest, AdminRequestList, AuditHeads, AuditPage, BackupKeyAnswer, BackupKeyRequest,
    BindGroupToServer, BindGroups, CertificateList, ChangeServer, CheckServer, ClearedCache, CreateEnrollment,
    CreateGroup, CreateKey, CreatePassphraseKey, CreateServerKey, CreateSnapshot, CreatedKey, Describe, Enroll,
    EnrollmentList, EnrollmentToken, ErrorAnswer, ErrorCode, GroupList, ImportKeys, ImportReport, IssuedCertificate,
    KeyList, KeyMove, MoveKey, MoveKeyToGroup, NewAdminRequest, Readiness, RemoveServer, RemovedServer, RenameGroup,
    RenameKey, RenewCertificate, RestoreKeysAnswer, RestoreKeysRequest, RevokeCertificates, RotateGroup,
    RotationReport, SealStatus, ServerCheck, ServerList, ServerRecord, ServiceStatus, SetRotation, SnapshotList,
    UndoAdminRequest,
};

macro_rules! golden {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("vectors/kms-api/", $name, ".json"))).unwrap()["message"]
            .take()
    };
}

fn written_as_read<T: Serialize + DeserializeOwned>(golden: &Value) {
    let message: T = serde_json::from_value(golden.clone()).unwrap();
    assert_eq!(&serde_json::to_value(message).unwrap(), golden);
}

fn request<T: Serialize + DeserializeOwned>(golden: &Value) {
    written_as_read::<T>(golden);
    let mut longer = golden.clone();
    longer
        .as_object_mut()
        .unwrap()
        .insert("singel_copy".to_owned(), json!(true));
    let error = serde_json::from_value::<T>(longer)
        .err()
        .expect("an unknown field is refused")
        .to_string();
    assert!(error.contains("unknown field `singel_copy`"), "{error}");
}

#[test]
fn requests_read_and_write_as_pinned_and_refuse_unknown_fields() {
    request::<BackupKeyRequest>(&golden!("backup-key-request"));
    request::<BackupKeyRequest>(&golden!("backup-key-request-disk"));
    request::<RestoreKeysRequest>(&golden!("restore-keys-request"));
    request::<CreateGroup>(&golden!("create-group"));
    request::<CreateGroup>(&golden!("create-group-disk"));
    request::<CreateKey>(&golden!("create-key"));
    request::<CreateKey>(&golden!("create-key-unnamed"));
    request::<CreatePassphraseKey>(&golden!("create-passphrase-key"));
    request::<ImportKeys>(&golden!("import-keys"));
    request::<RestoreKeysRequest>(&golden!("restore-keys-request-foreign"));
    request::<MoveKey>(&golden!("move-key"));
    request::<RotateGroup>(&golden!("rotate-group"));
    request::<NewAdminRequest>(&golden!("new-admin-request"));
    request::<NewAdminRequest>(&golden!("new-admin-request-group"));
    request::<NewAdminRequest>(&golden!("new-admin-request-admin"));
    request::<UndoAdminRequest>(&golden!("undo-admin-request"));
    request::<CreateSnapshot>(&golden!("create-snapshot"));
    request::<RenameGroup>(&golden!("rename-group"));
    request::<RenameKey>(&golden!("rename-key"));
    request::<Describe>(&golden!("describe"));
    request::<MoveKeyToGroup>(&golden!("move-key-to-group"));
    request::<SetRotation>(&golden!("set-rotation"));
    request::<SetRotation>(&golden!("set-rotation-never"));
    request::<RevokeCertificates>(&golden!("revoke-certificates"));
    request::<RevokeCertificates>(&golden!("revoke-certificates-all"));
    request::<BindGroups>(&golden!("bind-groups"));
    request::<BindGroups>(&golden!("bind-groups-all"));
    request::<CreateEnrollment>(&golden!("create-enrollment"));
    request::<CreateEnrollment>(&golden!("create-enrollment-operator"));
    request::<CreateEnrollment>(&golden!("create-enrollment-admin"));
    request::<Enroll>(&golden!("enroll"));
    request::<AddServer>(&golden!("add-server"));
    request::<ChangeServer>(&golden!("change-server"));
    request::<ChangeServer>(&golden!("change-server-priority"));
    request::<RemoveServer>(&golden!("remove-server"));
    request::<CheckServer>(&golden!("check-server"));
    request::<CreateServerKey>(&golden!("create-server-key"));
    request::<BindGroupToServer>(&golden!("bind-group-to-server"));
    request::<BindGroupToServer>(&golden!("bind-group-to-any-server"));
    request::<RenewCertificate>(&golden!("renew-certificate"));
}

#[test]
fn answers_read_and_write_as_pinned() {
    written_as_read::<BackupKeyAnswer>(&golden!("backup-key-answer"));
    written_as_read::<RestoreKeysAnswer>(&golden!("restore-keys-answer"));
    written_as_read::<RestoreKeysAnswer>(&golden!("restore-keys-answer-candidates"));
    written_as_read::<ImportReport>(&golden!("import-report"));
    written_as_read::<GroupList>(&golden!("group-list"));
    written_as_read::<KeyList>(&golden!("key-list"));
    written_as_read::<KeyMove>(&golden!("key-move"));
    written_as_read::<SnapshotList>(&golden!("snapshot-list"));
    written_as_read::<ServiceStatus>(&golden!("service-status"));
    written_as_read::<ServiceStatus>(&golden!("service-status-schedule"));
    written_as_read::<GroupList>(&golden!("group-list-rotated"));
    written_as_read::<SealStatus>(&golden!("seal-status"));
    written_as_read::<RotationReport>(&golden!("rotation-report"));
    written_as_read::<ClearedCache>(&golden!("cleared-cache"));
    written_as_read::<AdminRequest>(&golden!("admin-request"));
    written_as_read::<AdminRequestList>(&golden!("admin-request-list"));
    written_as_read::<AuditHeads>(&golden!("audit-heads"));
    written_as_read::<AuditPage>(&golden!("audit-page"));
    written_as_read::<Readiness>(&golden!("readiness"));
    written_as_read::<ServerList>(&golden!("server-list"));
    written_as_read::<ServerRecord>(&golden!("server-record"));
    written_as_read::<RemovedServer>(&golden!("removed-server"));
    written_as_read::<ServerCheck>(&golden!("server-check"));
    written_as_read::<CreatedKey>(&golden!("created-key"));
    written_as_read::<CertificateList>(&golden!("certificate-list"));
    written_as_read::<EnrollmentList>(&golden!("enrollment-list"));
    written_as_read::<EnrollmentToken>(&golden!("enrollment-token"));
    written_as_read::<IssuedCertificate>(&golden!("issued-certificate"));
    written_as_read::<ErrorAnswer>(&golden!("error"));
}

#[test]
fn answers_of_a_newer_service_are_understood_as_far_as_possible() {
    let mut answer = golden!("backup-key-answer");
    answer["warning"] = json!("from the future");
    let answer: BackupKeyAnswer = serde_json::from_value(answer).unwrap();
    answer.kad.verify(&answer.key).unwrap();
    let error: ErrorAnswer =
        serde_json::from_value(json!({"code": "on_strike", "error": "no", "hint": "wait"})).unwrap();
    assert_eq!(error.code, ErrorCode::Unknown);
}

#[test]
fn a_kad_on_the_wire_is_hex_of_a_sane_length() {
    for bad in [
        json!(""),
        json!("5"),
        json!("zz"),
        json!("00".repeat(257)),
        json!(7),
        json!(null),
    ] {
        let request = json!({ "kad": bad });
        assert!(serde_json::from_value::<RestoreKeysRequest>(request).is_err(), "{bad}");
    }
    let mut padded = golden!("backup-key-answer");
    padded["kad"] = json!(format!("{}20", padded["kad"].as_str().unwrap()));
    assert!(
        serde_json::from_value::<BackupKeyAnswer>(padded).is_err(),
        "a KAD that the KMS gives is exactly ours"
    );
}
