//! Keys that the KMS does not draw itself, and which keys it names for KADs that are not ours.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use kms_support::{Home, Running, group, import, new_group, passphrase_key, rotate, volume};
use tapekey::kad::{BlockKads, KeyId, KeyKind, OurKad, derive_volume_key};
use tapekey::kms_api::{
    ErrorCode, ImportKeys, ImportOutcome, ImportReport, ImportedKey, KadMatch, KeyName, KeyOrigin, KeyState, MoveKey,
    RESTORED_KEYS_MAX, ServerResult,
};
use tapekey::kms_client::{KmsClient, RestoreAnswer};
use tapekey::secret::DataKey;

/// A KMS with the derived group `ENCR_daily` and the as-is groups `ENCR_old` and `ENCR_older`.
struct Service {
    home: Home,
    running: Running,
    admin: KmsClient,
    media: KmsClient,
}

impl Service {
    async fn start() -> Self {
        let home = Home::new();
        let running = home.serve().await;
        let admin = home.client("admin-1", running.address);
        let media = home.client("media-server-1", running.address);
        for (name, kind) in [
            ("ENCR_daily", KeyKind::Derived),
            ("ENCR_old", KeyKind::AsIs),
            ("ENCR_older", KeyKind::AsIs),
        ] {
            admin.create_group(&new_group(name, kind)).await.unwrap();
        }
        Self {
            home,
            running,
            admin,
            media,
        }
    }

    async fn import(&self, keys: &ImportKeys) -> ImportReport {
        self.admin.import_keys(&group("ENCR_old"), keys).await.unwrap()
    }

    async fn set_state(&self, name: &KeyName, state: KeyState) {
        let to = MoveKey {
            state,
            single_copy: false,
        };
        self.admin.move_key(&group("ENCR_old"), name, &to).await.unwrap();
    }

    async fn ask(&self, unauthenticated: &[u8], authenticated: &[u8]) -> RestoreAnswer {
        let kads = BlockKads {
            unauthenticated: unauthenticated.to_vec(),
            authenticated: authenticated.to_vec(),
        };
        self.media
            .restore_keys_of(&kads, Some(&volume("A1")))
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// First bytes of the candidates for a KAD, and why they are.
    async fn candidates(&self, unauthenticated: &[u8], authenticated: &[u8]) -> Vec<(u8, KadMatch)> {
        let answer = self.ask(unauthenticated, authenticated).await;
        assert!(answer.keys.is_empty());
        let candidates = answer.candidates.iter();
        candidates.map(|one| (one.key.expose()[0], one.matched)).collect()
    }

    async fn key_count(&self) -> usize {
        self.admin.keys(None).await.unwrap().len()
    }
}

fn with_kads(keys: &[(u8, &[u8])]) -> ImportKeys {
    let bytes: Vec<u8> = keys.iter().map(|(byte, _)| *byte).collect();
    let mut wanted = import(&bytes, true);
    for (key, (_, kad)) in wanted.keys.iter_mut().zip(keys) {
        key.foreign_kad = Some(kad.to_vec());
    }
    wanted
}

fn record(outcome: &ImportOutcome) -> &tapekey::kms_api::KeyRecord {
    match outcome {
        ImportOutcome::New(record) => record,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_passphrase_key_becomes_active_without_a_second_copy_and_serves_volumes() {
    let service = Service::start().await;
    let daily = group("ENCR_daily");
    let made = service
        .admin
        .create_passphrase_key(&daily, &passphrase_key(7))
        .await
        .unwrap();
    assert_eq!(
        (made.id, made.origin, made.state),
        (KeyId([7; 16]), KeyOrigin::Passphrase, KeyState::Prelive)
    );
    let to = MoveKey {
        state: KeyState::Active,
        single_copy: false,
    };
    service.admin.move_key(&daily, &made.name, &to).await.unwrap();
    let given = service.media.backup_key("ENCR_daily", &volume("A1")).await.unwrap();
    let expected = derive_volume_key(&DataKey::take(&mut [7; 32]), KeyId([7; 16]), given.kad.nonce());
    assert!(
        given.key == expected,
        "passphrase, key id and the tape's nonce are enough"
    );

    // A random key still needs its second copy.
    let random = service.admin.create_key(&daily, &Default::default()).await.unwrap();
    let error = service.admin.move_key(&daily, &random.name, &to).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::SingleCopy));
    service.running.stop().await;
}

#[tokio::test]
async fn a_passphrase_key_never_takes_the_place_of_another_and_a_weak_one_is_in_the_audit_log() {
    let service = Service::start().await;
    let (daily, old) = (group("ENCR_daily"), group("ENCR_old"));
    let mut weak = passphrase_key(7);
    weak.weak = true;
    service.admin.create_passphrase_key(&daily, &weak).await.unwrap();
    for group in [&daily, &old] {
        let error = service
            .admin
            .create_passphrase_key(group, &passphrase_key(7))
            .await
            .unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::IdTaken), "{error}");
    }
    assert_eq!(service.key_count().await, 1);
    service.running.stop().await;
    let audit = service.home.audit();
    let made: Vec<_> = audit
        .iter()
        .filter(|record| record.action == "create_passphrase_key")
        .collect();
    assert_eq!(made.len(), 3);
    assert_eq!(made[0].detail.as_deref(), Some("weak passphrase accepted"));
    assert_eq!(made[0].key_id, Some(KeyId([7; 16]).to_string()));
    assert!(made[1].outcome.starts_with("refused: "), "{}", made[1].outcome);
}

#[tokio::test]
async fn a_preview_says_what_an_import_would_do_and_changes_nothing() {
    let service = Service::start().await;
    service.import(&import(&[1], true)).await;
    let mut wanted = import(&[1, 2, 2, 3], false);
    wanted.keys[3].id = Some(KeyId([3; 16]));
    let preview = service.import(&wanted).await;
    assert!(!preview.committed);
    assert!(matches!(preview.keys[0], ImportOutcome::SameKey { .. }));
    assert_eq!(record(&preview.keys[1]).state, KeyState::Inactive);
    assert_eq!(preview.keys[2], ImportOutcome::Repeated);
    assert_eq!(record(&preview.keys[3]).id, KeyId([3; 16]));
    assert_eq!(service.key_count().await, 1);
    assert!(service.candidates(b"foreign 2", b"").await.is_empty());

    wanted.commit = true;
    let done = service.import(&wanted).await;
    assert!(done.committed);
    assert_eq!(record(&done.keys[1]).origin, KeyOrigin::Imported);
    assert_eq!(
        record(&done.keys[1]).foreign_kad.as_deref(),
        Some(b"foreign 2".as_slice())
    );
    assert_eq!(service.key_count().await, 3);
    let again = service.import(&wanted).await;
    assert!(
        again
            .keys
            .iter()
            .all(|outcome| matches!(outcome, ImportOutcome::SameKey { .. }))
    );
    service.running.stop().await;
    let audit = service.home.audit();
    let imports: Vec<_> = audit.iter().filter(|record| record.action == "import_keys").collect();
    assert_eq!(imports[1].outcome, "preview: 2 new, 2 to be skipped");
    assert!(
        imports[2].outcome.starts_with("done: 2 imported, 2 skipped; "),
        "{}",
        imports[2].outcome
    );
}

#[tokio::test]
async fn the_same_id_is_skipped_wherever_the_store_has_it() {
    let service = Service::start().await;
    let taken = service
        .admin
        .create_passphrase_key(&group("ENCR_daily"), &passphrase_key(7))
        .await
        .unwrap();
    let mut wanted = import(&[1, 2], true);
    wanted.keys[0].id = Some(taken.id);
    let report = service.import(&wanted).await;
    let same = ImportOutcome::SameId {
        group: group("ENCR_daily"),
        name: taken.name,
    };
    assert_eq!(report.keys[0], same);
    record(&report.keys[1]);
    service.running.stop().await;
}

#[tokio::test]
async fn an_import_is_done_whole_or_not_at_all() {
    let service = Service::start().await;
    let name = Some(KeyName::new("taken").unwrap());
    let mut first = import(&[1], true);
    first.keys[0].name = name.clone();
    service.import(&first).await;
    let mut wanted = import(&[2, 3, 4], true);
    wanted.keys[2].name = name;
    let mut too_many = import(&[9], true);
    too_many.keys = (0..=32_u8).flat_map(|byte| import(&[byte], true).keys).collect();
    let mut empty_kad = import(&[5, 6], true);
    empty_kad.keys[1].foreign_kad = Some(b"\0 \0".to_vec());
    for (wanted, code) in [
        (wanted, ErrorCode::NameTaken),
        (too_many, ErrorCode::BadRequest),
        (empty_kad, ErrorCode::BadRequest),
        (import(&[], true), ErrorCode::BadRequest),
    ] {
        let error = service
            .admin
            .import_keys(&group("ENCR_old"), &wanted)
            .await
            .unwrap_err();
        assert_eq!(error.code(), Some(code), "{error}");
        assert_eq!(service.key_count().await, 1);
    }
    let derived = service
        .admin
        .import_keys(&group("ENCR_daily"), &import(&[2], true))
        .await;
    assert_eq!(derived.unwrap_err().code(), Some(ErrorCode::WrongKind));
    service.running.stop().await;
}

#[tokio::test]
async fn the_largest_import_fits_a_request() {
    let service = Service::start().await;
    let keys = (0..32_u8).map(|byte| ImportedKey {
        id: Some(KeyId([byte; 16])),
        name: Some(KeyName::new(format!("{byte:064}")).unwrap()),
        description: "\u{1F511}".repeat(256),
        key: DataKey::take(&mut [byte; 32]),
        foreign_kad: Some(vec![0xFF; 256]),
    });
    let report = service
        .import(&ImportKeys {
            keys: keys.collect(),
            commit: true,
        })
        .await;
    assert!(
        report
            .keys
            .iter()
            .all(|outcome| matches!(outcome, ImportOutcome::New(_)))
    );
    service.running.stop().await;
}

#[tokio::test]
async fn an_imported_key_must_have_a_second_copy_before_it_encrypts() {
    let service = Service::start().await;
    let report = service.import(&import(&[1], true)).await;
    let to = MoveKey {
        state: KeyState::Active,
        single_copy: false,
    };
    let name = &record(&report.keys[0]).name;
    let error = service.admin.move_key(&group("ENCR_old"), name, &to).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::SingleCopy));
    service.running.stop().await;
}

#[tokio::test]
async fn a_foreign_kad_names_exact_matches_first_whatever_either_side_is_padded_with() {
    let service = Service::start().await;
    service
        .import(&with_kads(&[
            (1, b"tape"),
            (2, b"tape\0\0"),
            (3, b"tape  "),
            (4, b"tap"),
            (5, b" tape"),
        ]))
        .await;
    let first = |found: &[(u8, KadMatch)]| found.first().copied();
    for (kad, best) in [(b"tape".as_slice(), 1), (b"tape\0\0", 2), (b"tape  ", 3)] {
        for (u_kad, a_kad) in [(kad, b"".as_slice()), (b"", kad), (b"other", kad)] {
            let found = service.candidates(u_kad, a_kad).await;
            assert_eq!(found.len(), 3, "{kad:?}");
            assert_eq!(first(&found), Some((best, KadMatch::Exact)), "{kad:?}");
            assert!(found[1..].iter().all(|(_, how)| *how == KadMatch::ButForPadding));
        }
    }
    assert_eq!(service.candidates(b"tape \0 \0", b"").await.len(), 3);
    assert_eq!(service.candidates(b"tap", b"").await, [(4, KadMatch::Exact)]);
    for kad in [b"\0\0\0\0".as_slice(), b"   ", b"ta", b"TAPE", b"tapes"] {
        assert!(service.candidates(kad, b"").await.is_empty(), "{kad:?}");
    }
    service.running.stop().await;
}

#[tokio::test]
async fn a_bare_key_id_names_its_key_in_every_spelling() {
    let service = Service::start().await;
    let mut wanted = import(&[1], true);
    let id = KeyId(*b"0123456789abcdef");
    wanted.keys[0].id = Some(id);
    service.import(&wanted).await;
    let text = id.to_string();
    let spellings = [
        id.0.to_vec(),
        [id.0.as_slice(), &[0; 16]].concat(),
        text.clone().into_bytes(),
        text.to_uppercase().into_bytes(),
        text.replace('-', "").into_bytes(),
        format!("{{{text}}}  ").into_bytes(),
    ];
    for spelling in spellings {
        for (u_kad, a_kad) in [(spelling.as_slice(), b"".as_slice()), (b"", &spelling)] {
            let found = service.candidates(u_kad, a_kad).await;
            assert_eq!(found, [(1, KadMatch::KeyId)], "{spelling:?}");
        }
    }
    service.running.stop().await;
}

#[tokio::test]
async fn at_most_eight_candidates_leave_and_only_usable_ones() {
    let service = Service::start().await;
    let keys: Vec<(u8, &[u8])> = (1..=12).map(|byte| (byte, b"one name for all".as_slice())).collect();
    let report = service.import(&with_kads(&keys)).await;
    let found = service.candidates(b"one name for all", b"one name for all ").await;
    assert_eq!(found.len(), RESTORED_KEYS_MAX);
    for outcome in &report.keys[..10] {
        service.set_state(&record(outcome).name, KeyState::Deprecated).await;
    }
    let mut left: Vec<u8> = service
        .candidates(b"one name for all", b"")
        .await
        .iter()
        .map(|(byte, _)| *byte)
        .collect();
    left.sort_unstable();
    assert_eq!(left, [11, 12]);
    for outcome in &report.keys[10..] {
        service.set_state(&record(outcome).name, KeyState::Deprecated).await;
    }
    let answer = service.ask(b"one name for all", b"").await;
    assert!(answer.candidates.is_empty());
    let ServerResult::Refused(why) = &answer.outcomes[0].result else {
        panic!("{:?}", answer.outcomes)
    };
    assert!(why.contains("deprecated"), "{why}");
    service.running.stop().await;
    let audit = service.home.audit();
    let outcome = &audit
        .iter()
        .find(|record| record.action == "restore_keys")
        .unwrap()
        .outcome;
    assert!(outcome.starts_with("done: 8 candidates, more match; "), "{outcome}");
}

#[tokio::test]
async fn a_derived_group_s_key_never_leaves_whichever_way_it_is_asked_for() {
    let service = Service::start().await;
    rotate(&service.admin, "ENCR_daily").await;
    let given = service.media.backup_key("ENCR_daily", &volume("A1")).await.unwrap();
    let id = given.kad.key_id();
    let text = id.to_string();
    let any = DataKey::take(&mut [9; 32]);
    let ways: Vec<(&str, Vec<u8>)> = vec![
        ("its id", id.0.to_vec()),
        ("its id, padded", [id.0.as_slice(), &[0; 16]].concat()),
        ("its id as text", text.clone().into_bytes()),
        ("its id as capitals", text.to_uppercase().into_bytes()),
        ("its id without hyphens", text.replace('-', "").into_bytes()),
        ("its id in braces", format!("{{{text}}}").into_bytes()),
        ("its id as a urn", format!("urn:uuid:{text}").into_bytes()),
        ("an as-is KAD with its id", OurKad::as_is(id, &any).encode().to_vec()),
        (
            "an as-is KAD with the volume's key",
            OurKad::as_is(id, &given.key).encode().to_vec(),
        ),
        (
            "a derived KAD without nonce",
            OurKad::derived(id, [0; 6], &any).encode().to_vec(),
        ),
        ("its name", b"ENCR_daily".to_vec()),
        ("half of its KAD", given.kad.encode()[..20].to_vec()),
    ];
    for (way, kad) in ways {
        for (u_kad, a_kad) in [(kad.as_slice(), b"".as_slice()), (b"", &kad), (&kad, &kad)] {
            let answer = service.ask(u_kad, a_kad).await;
            assert!(answer.keys.is_empty() && answer.candidates.is_empty(), "{way}");
            assert!(matches!(answer.outcomes[0].result, ServerResult::None(_)), "{way}");
        }
    }
    // Its very KAD as an A-KAD, or beside one, is no KAD of ours.
    let kad = given.kad.encode();
    for (u_kad, a_kad) in [(b"".as_slice(), kad.as_slice()), (&kad, b"x")] {
        let answer = service.ask(u_kad, a_kad).await;
        assert!(answer.keys.is_empty() && answer.candidates.is_empty());
    }
    service.running.stop().await;
}

#[tokio::test]
async fn a_volume_s_key_imported_from_elsewhere_is_found_by_the_kad_on_its_tape() {
    let service = Service::start().await;
    let key = DataKey::take(&mut [5; 32]);
    let kad = OurKad::derived(KeyId([0xAB; 16]), [1; 6], &key).encode();
    assert!(service.candidates(&kad, b"").await.is_empty());
    service.import(&with_kads(&[(5, &kad)])).await;
    assert_eq!(service.candidates(&kad, b"").await, [(5, KadMatch::Exact)]);
    service.running.stop().await;
}
