//! Deletion by two administrators and a month of service time: who may, what shortens the wait (nothing), and what takes it back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kms_support::{Home, error, group, new_group, volume};
use tapekey::clock::{Clock, Timestamp};
use tapekey::kad::{KeyKind, OurKad};
use tapekey::kms::audit::Actor;
use tapekey::kms::master_key::{Given, MasterKeySource};
use tapekey::kms::service::Kms;
use tapekey::kms::upkeep::Upkeep;
use tapekey::kms::verify::verify;
use tapekey::kms_api::{
    AdminChange, AdminRequest, AdminRequestState, BackupKeyRequest, CreateKey, ErrorCode, KeyName, KeyState, MoveKey,
    NewAdminRequest, PageQuery, Purpose, RestoreKeysRequest, ServerResult, UndoAdminRequest,
};

const GROUP: &str = "ENCR_a";

/// A wall clock that can be set, and one that only goes on.
struct Clocks(Mutex<(Timestamp, Duration)>);

impl Clocks {
    fn hours(&self, hours: u32) {
        let mut both = self.0.lock().unwrap();
        both.0 += time::Duration::hours(hours.into());
        both.1 += Duration::from_secs(u64::from(hours) * 3600);
    }

    fn set_wall(&self, by_days: i64) {
        self.0.lock().unwrap().0 += time::Duration::days(by_days);
    }
}

impl Clock for Clocks {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().0
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().unwrap().1
    }
}

struct Service {
    home: Home,
    clocks: Arc<Clocks>,
    kms: Arc<Kms>,
    upkeep: Upkeep,
}

fn admin(name: &str, key: &str) -> Actor {
    Actor {
        subject: format!("CN={name}"),
        // The service is asked without its web front, so there is no certificate that it could look up.
        fingerprint: String::new(),
        public_key: key.to_owned(),
    }
}

fn ada() -> Actor {
    admin("ada", "k1")
}

fn bob() -> Actor {
    admin("bob", "k2")
}

fn key_name(name: &str) -> KeyName {
    KeyName::new(name).unwrap()
}

fn delete_key(name: &str) -> NewAdminRequest {
    NewAdminRequest {
        change: AdminChange::DeleteKey {
            group: group(GROUP),
            key: key_name(name),
        },
        reason: "the tapes were shredded".to_owned(),
    }
}

impl Service {
    async fn start() -> Self {
        let home = Home::new();
        let clocks = Arc::new(Clocks(Mutex::new((home.clock.now(), Duration::ZERO))));
        let kms = Self::open(&home, &clocks);
        let mut service = Self {
            home,
            clocks,
            kms,
            upkeep: Upkeep::default(),
        };
        let new = new_group(GROUP, KeyKind::Derived);
        service.kms.create_group(&ada(), new).await.unwrap();
        service.look().await;
        service
    }

    fn open(home: &Home, clocks: &Arc<Clocks>) -> Arc<Kms> {
        let kms = Kms::start(home.opened_store(), clocks.clone(), home.entropy.clone());
        Arc::new(kms.unwrap())
    }

    /// Ends it, does something to its database, and starts it again.
    async fn restart(mut self, sql: &str) -> Self {
        drop(self.kms);
        self.home.sql(sql);
        self.kms = Self::open(&self.home, &self.clocks);
        self.upkeep = Upkeep::default();
        self.look().await;
        self
    }

    async fn look(&mut self) {
        self.upkeep.look(&self.kms, &*self.clocks).await;
    }

    /// Lets the service run, with a look every hour.
    async fn run_hours(&mut self, hours: u32) {
        for _ in 0..hours {
            self.clocks.hours(1);
            self.look().await;
        }
    }

    async fn new_key(&self, name: &str) {
        let wanted = CreateKey {
            name: Some(key_name(name)),
            description: String::new(),
        };
        self.kms.create_key(&ada(), group(GROUP), wanted).await.unwrap();
    }

    async fn to(&self, name: &str, states: &[KeyState]) {
        for state in states {
            let to = MoveKey {
                state: *state,
                single_copy: true,
            };
            self.kms
                .move_key(&ada(), (group(GROUP), key_name(name)), to)
                .await
                .unwrap();
        }
    }

    async fn state_of(&self, name: &str) -> KeyState {
        let query = PageQuery {
            group: Some(group(GROUP)),
            after: None,
        };
        let keys = self.kms.keys(query).await.unwrap().keys;
        keys.into_iter().find(|key| key.name.as_str() == name).unwrap().state
    }

    /// A request about the key, made and approved.
    async fn approved(&self, name: &str) -> AdminRequest {
        let made = self.kms.make_request(&ada(), delete_key(name)).await.unwrap();
        self.kms.approve_request(&bob(), made.number).await.unwrap()
    }

    async fn request(&self, number: i64) -> AdminRequest {
        self.kms.request(number).await.unwrap()
    }

    /// A volume written under the key that is active, as its KAD.
    async fn volume_of_active(&self) -> OurKad {
        let wanted = BackupKeyRequest {
            purpose: Purpose::Tape,
            group: group(GROUP),
            volume: volume("A1"),
        };
        self.kms.backup_key(&Actor::local(), wanted).await.unwrap().kad
    }

    async fn restore(&self, kad: OurKad) -> (usize, String) {
        let wanted = RestoreKeysRequest {
            kad: kad.encode().to_vec(),
            a_kad: Vec::new(),
            volume: None,
        };
        let answer = self.kms.restore_keys(&Actor::local(), wanted).await.unwrap();
        match &answer.outcomes[0].result {
            ServerResult::Refused(why) => (answer.keys.len(), why.clone()),
            other => (answer.keys.len(), format!("{other:?}")),
        }
    }

    fn problems(&self) -> Vec<String> {
        let looked = verify(
            &self.home.folder(),
            (
                Some(&MasterKeySource::File(self.home.master_key_file())),
                &Given::default(),
            ),
            (&*self.clocks, &*self.home.entropy),
            &mut |_, _, _| {},
        );
        looked.unwrap().problems
    }

    async fn alarms(&self) -> Vec<String> {
        let status = self.kms.status().await.unwrap();
        status.security_alarms.into_iter().map(|alarm| alarm.text).collect()
    }
}

const DOWN: [KeyState; 3] = [KeyState::Inactive, KeyState::Deprecated, KeyState::Terminated];

/// Requests that end in different ways.
struct Month {
    used: i64,
    unused: i64,
    revived: i64,
    forgotten: i64,
    /// Of a volume written under the key `used`.
    kad: OurKad,
}

async fn begin_a_month(service: &Service) -> Month {
    for name in ["used", "unused", "saved", "revived", "forgotten"] {
        service.new_key(name).await;
    }
    service.to("used", &[KeyState::Active]).await;
    let kad = service.volume_of_active().await;
    service.to("used", &DOWN).await;
    service.to("revived", &[KeyState::Active]).await;
    service.to("revived", &DOWN).await;
    let empty = new_group("ENCR_empty", KeyKind::Derived);
    service.kms.create_group(&ada(), empty).await.unwrap();

    let used = service.approved("used").await;
    assert_eq!(used.state, AdminRequestState::Approved);
    assert_eq!(used.seconds_left, Some(30 * 24 * 3600));
    let unused = service.approved("unused").await;
    let saved = service.approved("saved").await;
    let revived = service.approved("revived").await;
    let forgotten = service.kms.make_request(&ada(), delete_key("forgotten")).await.unwrap();
    let of_group = NewAdminRequest {
        change: AdminChange::DeleteGroup {
            group: group("ENCR_empty"),
        },
        reason: "nobody uses it".to_owned(),
    };
    let of_group = service.kms.make_request(&bob(), of_group).await.unwrap();
    service.kms.approve_request(&ada(), of_group.number).await.unwrap();

    let undo = UndoAdminRequest {
        reason: "a tape turned up".to_owned(),
    };
    let undone = service
        .kms
        .undo_request(&admin("olga", "k3"), saved.number, undo)
        .await
        .unwrap();
    assert_eq!(
        (undone.state, undone.ended_by.as_deref()),
        (AdminRequestState::Undone, Some("CN=olga"))
    );
    service.to("revived", &[KeyState::Deprecated]).await;
    Month {
        used: used.number,
        unused: unused.number,
        revived: revived.number,
        forgotten: forgotten.number,
        kad,
    }
}

#[tokio::test]
async fn a_month_after_two_administrators_a_key_is_gone_and_its_tapes_are_told_who_deleted_it() {
    let mut service = Service::start().await;
    let month = begin_a_month(&service).await;
    service.run_hours(22 * 24).await;
    assert_eq!(service.alarms().await, Vec::<String>::new());
    service.run_hours(24).await;
    let near = service.alarms().await;
    assert!(
        near.iter().any(|text| text.starts_with(
            "in 7 days of service the KMS will delete key used of group ENCR_a, as CN=ada asked and CN=bob approved"
        )),
        "{near:?}"
    );
    service.run_hours(7 * 24 - 1).await;
    assert_eq!(service.state_of("used").await, KeyState::Terminated);
    assert_eq!(service.request(month.used).await.seconds_left, Some(3600));
    service.run_hours(1).await;

    for (name, state) in [
        ("used", KeyState::Deleted),
        ("unused", KeyState::Deleted),
        ("saved", KeyState::Prelive),
        ("revived", KeyState::Deprecated),
        ("forgotten", KeyState::Prelive),
    ] {
        assert_eq!(service.state_of(name).await, state, "{name}");
    }
    check_ends(&service, &month).await;
    check_what_is_left(&service, &month).await;
}

async fn check_ends(service: &Service, month: &Month) {
    let ended = service.request(month.used).await;
    assert_eq!(
        (ended.state, ended.ended_by.as_deref()),
        (AdminRequestState::Done, Some("service"))
    );
    assert_eq!(service.request(month.unused).await.state, AdminRequestState::Done);
    let void = service.request(month.revived).await;
    assert_eq!(void.state, AdminRequestState::Void);
    assert!(void.outcome.unwrap().contains("is deprecated"));
    let void = service.request(month.forgotten).await;
    assert_eq!(void.outcome.as_deref(), Some("nobody approved it within 30 days"));
    let groups = service.kms.groups(PageQuery::default()).await.unwrap().groups;
    assert_eq!(groups.len(), 1, "the empty group is gone");
}

async fn check_what_is_left(service: &Service, month: &Month) {
    let (keys, why) = service.restore(month.kad).await;
    let when = tapekey::clock::to_text(service.clocks.now());
    assert_eq!(keys, 0);
    assert!(
        why.contains(&format!(
            "was deleted on {when} by CN=ada and CN=bob (request {})",
            month.used
        )),
        "{why}"
    );
    let back = MoveKey {
        state: KeyState::Terminated,
        single_copy: false,
    };
    let moved = service
        .kms
        .move_key(&ada(), (group(GROUP), key_name("used")), back)
        .await;
    assert!(error(moved).contains("cannot become terminated"));
    assert_eq!(service.problems(), Vec::<String>::new());
    let sealed = service
        .home
        .select("SELECT length(sealed) FROM keys WHERE name = 'used'");
    assert_eq!(sealed, "16", "nothing but the seal itself");
    let steps: Vec<_> = service
        .home
        .audit()
        .into_iter()
        .filter(|record| {
            record
                .detail
                .as_deref()
                .is_some_and(|detail| detail.starts_with(&format!("request {}: ", month.used)))
        })
        .map(|record| (record.subject, record.action))
        .collect();
    let expected = [
        ("CN=ada", "make_request"),
        ("CN=bob", "approve_request"),
        ("service", "carry_out_request"),
    ];
    assert_eq!(
        steps,
        expected.map(|(subject, action)| (subject.to_owned(), action.to_owned()))
    );
}

#[tokio::test]
async fn nobody_approves_their_own_request_under_any_certificate() {
    let service = Service::start().await;
    service.new_key("k").await;
    let made = service.kms.make_request(&ada(), delete_key("k")).await.unwrap();
    for same in [ada(), admin("ada", "renewed"), admin("mallory", "k1")] {
        let refused = service.kms.approve_request(&same, made.number).await;
        assert!(
            error(refused).contains("needs the approval of somebody else"),
            "{same:?}"
        );
    }
    let twice = service.kms.make_request(&bob(), delete_key("k")).await;
    assert!(error(twice).contains("request 1 is about the same and still open"));
    service.kms.approve_request(&bob(), made.number).await.unwrap();
    let again = service.kms.approve_request(&admin("carl", "k4"), made.number).await;
    assert!(error(again).contains("request 1 is approved"));
    let none = service.kms.approve_request(&bob(), 7).await;
    assert!(error(none).contains("there is no request 7"));
    let refusals = service.home.audit();
    let refusals = refusals.iter().filter(|record| record.outcome.starts_with("refused: "));
    assert_eq!(refusals.count(), 6);
}

#[tokio::test]
async fn keys_in_use_groups_with_keys_and_requests_without_reason_are_refused() {
    let service = Service::start().await;
    service.new_key("k").await;
    for state in [KeyState::Active, KeyState::Inactive, KeyState::Deprecated] {
        service.to("k", &[state]).await;
        let refused = service.kms.make_request(&ada(), delete_key("k")).await;
        assert!(error(refused).contains(&format!("is {state}; only prelive and terminated keys can be deleted")));
    }
    let of_group = NewAdminRequest {
        change: AdminChange::DeleteGroup { group: group(GROUP) },
        reason: "x".to_owned(),
    };
    assert!(error(service.kms.make_request(&ada(), of_group).await).contains("has keys"));
    service.to("k", &[KeyState::Terminated]).await;
    for reason in ["", " ", "two\nlines"] {
        let wanted = NewAdminRequest {
            reason: reason.to_owned(),
            ..delete_key("k")
        };
        assert!(service.kms.make_request(&ada(), wanted).await.is_err(), "{reason:?}");
    }
    let to_deleted = MoveKey {
        state: KeyState::Deleted,
        single_copy: true,
    };
    let moved = service
        .kms
        .move_key(&ada(), (group(GROUP), key_name("k")), to_deleted)
        .await;
    assert!(error(moved).contains("cannot become deleted"), "a move deletes nothing");
}

#[tokio::test]
async fn neither_a_clock_set_forward_nor_a_service_that_is_down_shortens_the_wait() {
    let mut service = Service::start().await;
    service.new_key("k").await;
    let request = service.approved("k").await.number;
    service.run_hours(24).await;
    let left = service.request(request).await.seconds_left;
    assert_eq!(left, Some(29 * 24 * 3600));
    for days in [400, -800, 40] {
        service.clocks.set_wall(days);
        service.clocks.hours(1);
        service.look().await;
        assert_eq!(service.request(request).await.seconds_left, left, "{days}");
        let alarms = service.alarms().await;
        assert!(alarms[0].starts_with("the clock jumped from "), "{alarms:?}");
    }
    service.clocks.hours(40 * 24);
    service.look().await;
    assert_eq!(service.request(request).await.seconds_left, left, "it stood still");
    let mut service = service.restart("").await;
    service.clocks.hours(1);
    let mut service = {
        service.look().await;
        service
    };
    assert_eq!(
        service.request(request).await.seconds_left,
        left.map(|left| left - 3600)
    );
    service.run_hours(1).await;
    let jumps = service.home.audit();
    let jumps = jumps.iter().filter(|record| record.action == "clock_jump").count();
    assert_eq!(jumps, 3);
}

#[tokio::test]
async fn no_edit_of_the_tables_shortens_the_wait_or_brings_an_undone_request_back() {
    for sql in [
        "UPDATE admin_requests SET due = 0",
        "UPDATE admin_requests SET state = 'approved', approved = 1, approved_by = 'CN=bob', due = 0",
        "UPDATE admin_requests SET asked_by = 'CN=x', asked_with = 'x'",
        "UPDATE service_time SET milliseconds = milliseconds + 99999999999",
    ] {
        let mut service = Service::start().await;
        service.new_key("k").await;
        service.approved("k").await;
        service.run_hours(1).await;
        let mut service = service.restart(sql).await;
        service.run_hours(2).await;
        assert_eq!(service.state_of("k").await, KeyState::Prelive, "{sql}");
        assert!(error(service.kms.requests().await).contains("does not open"), "{sql}");
    }
    let service = Service::start().await;
    service.new_key("k").await;
    let request = service.approved("k").await.number;
    let mut service = service
        .restart("CREATE TABLE kept AS SELECT * FROM admin_requests")
        .await;
    let undo = UndoAdminRequest {
        reason: "no".to_owned(),
    };
    service.kms.undo_request(&bob(), request, undo).await.unwrap();
    service.run_hours(1).await;
    let back = "DELETE FROM admin_requests; INSERT INTO admin_requests SELECT * FROM kept; DROP TABLE kept";
    let mut service = service.restart(back).await;
    service.run_hours(30 * 24).await;
    assert_eq!(service.state_of("k").await, KeyState::Prelive);
    let void = service.request(request).await;
    assert_eq!(void.state, AdminRequestState::Void);
    assert!(
        void.outcome
            .unwrap()
            .contains("the audit log says that it ended before")
    );
}

#[tokio::test]
async fn two_bundles_of_init_are_two_administrators_over_the_web_service() {
    let home = Home::new();
    let running = home.serve().await;
    let client = |name| home.client(name, running.address);
    let (first, second, operator) = (client("admin-1"), client("admin-2"), client("operator-1"));
    first.create_group(&new_group(GROUP, KeyKind::Derived)).await.unwrap();
    let wanted = CreateKey {
        name: Some(key_name("k")),
        description: String::new(),
    };
    first.create_key(&group(GROUP), &wanted).await.unwrap();
    let refused = operator.make_request(&delete_key("k")).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Forbidden));
    let made = first.make_request(&delete_key("k")).await.unwrap();
    let own = first.approve_request(made.number).await.unwrap_err();
    assert_eq!(own.code(), Some(ErrorCode::SecondAdmin));
    let approved = second.approve_request(made.number).await.unwrap();
    assert_eq!(approved.approved_by.as_deref(), Some("CN=admin-2"));
    let status = client("auditor-1").status().await.unwrap();
    assert_eq!(status.requests, [approved]);
    let undo = UndoAdminRequest {
        reason: "not yet".to_owned(),
    };
    operator.undo_request(made.number, &undo).await.unwrap();
    let listed = second.requests().await.unwrap();
    assert_eq!(listed[0].state, AdminRequestState::Undone);
    let missing = second.request(99).await.unwrap_err();
    assert_eq!(missing.code(), Some(ErrorCode::NoSuchRequest));
    running.stop().await;
}
