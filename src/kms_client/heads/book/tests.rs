//! What a book of heads makes of answers, over restarts too.

use super::super::tests::head;
use super::*;
use crate::clock::MockClock;
use crate::kad::KeyId;

const ADDRESS: &str = "https://kms1:8443";

fn clock() -> Arc<dyn Clock> {
    let mut clock = MockClock::new();
    clock.expect_now().returning(|| Timestamp::UNIX_EPOCH);
    Arc::new(clock)
}

fn open(path: &Path) -> Arc<HeadBook> {
    Arc::new(HeadBook::open(path, clock()))
}

/// As one question after the other is answered.
async fn see(book: &Arc<HeadBook>, found: AuditHead) {
    let asked = book.when_asked();
    book.see((&asked, Said::Nothing), found, ADDRESS).await;
    book.save().await.unwrap();
}

/// As a process ends: what it was still writing is written.
async fn close(book: Arc<HeadBook>) {
    let alone = async {
        while Arc::strong_count(&book) > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), alone)
        .await
        .unwrap();
}

#[tokio::test]
async fn heads_that_advance_are_remembered_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("heads.json");
    let book = open(&path);
    for sequence in [3, 4, 9] {
        see(&book, head(sequence, 1)).await;
    }
    assert_eq!(book.alarms(), []);
    close(book).await;
    let report = open(&path).report();
    assert_eq!(report.chains[0].head, head(9, 1));
    assert_eq!(report.alarms, []);
}

#[tokio::test]
async fn a_roll_back_is_an_alarm_until_a_person_accepts_it_whatever_the_chain_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("heads.json");
    let book = open(&path);
    for found in [head(9, 1), head(7, 2), head(8, 2), head(20, 2)] {
        see(&book, found).await;
    }
    close(book).await;
    let book = open(&path);
    let alarms = book.alarms();
    assert_eq!(alarms.len(), 1);
    assert!(
        alarms[0].text.contains(
            "was rolled back: the audit chain of node 01010101-0101-0101-0101-010101010101 ended at record 7"
        ),
        "{}",
        alarms[0].text
    );
    assert!(alarms[0].text.contains("at 9 when last seen on"), "{}", alarms[0].text);
    let node = head(0, 0).node;
    for no_reason in ["", "  ", "a\nb", &"x".repeat(257)] {
        assert!(book.accept(node, "uid 0", no_reason).await.is_err(), "{no_reason:?}");
    }
    let other = KeyId([2; 16]);
    assert!(book.accept(other, "uid 0", "restored").await.is_err());
    let report = book
        .accept(node, "uid 0", "restored from the snapshot of Monday")
        .await
        .unwrap();
    assert_eq!((report.alarms.len(), &report.chains[0].head), (0, &head(20, 2)));
    let again = book.accept(node, "uid 0", "once more").await.unwrap_err().to_string();
    assert!(again.contains("there is no alarm"), "{again}");
    close(book).await;
    let report = open(&path).report();
    assert_eq!((report.alarms.len(), report.accepted.len()), (0, 1));
    assert_eq!(report.accepted[0].instead_of, head(9, 1));
    assert_eq!(report.accepted[0].reason, "restored from the snapshot of Monday");
}

#[tokio::test]
async fn another_record_where_one_is_known_is_an_alarm() {
    let folder = tempfile::tempdir().unwrap();
    let book = open(&folder.path().join("heads.json"));
    see(&book, head(9, 1)).await;
    see(&book, head(9, 2)).await;
    assert!(book.alarms()[0].text.contains("has another record 9 than was seen"));
}

#[tokio::test]
async fn a_record_that_the_kms_denies_is_an_alarm_although_the_chain_is_longer() {
    let folder = tempfile::tempdir().unwrap();
    let book = open(&folder.path().join("heads.json"));
    see(&book, head(9, 1)).await;
    let asked = book.when_asked();
    book.see((&asked, Said::NotKnown(&head(9, 1))), head(30, 2), ADDRESS)
        .await;
    assert!(book.alarms()[0].text.contains("has another record 9 than was seen"));
    let report = book.accept(head(0, 0).node, "uid 0", "restored").await.unwrap();
    assert_eq!(report.chains[0].head, head(30, 2));
}

#[tokio::test]
async fn a_new_node_of_the_store_is_welcome_and_another_store_is_an_alarm() {
    let folder = tempfile::tempdir().unwrap();
    let book = open(&folder.path().join("heads.json"));
    see(&book, head(9, 1)).await;
    let node = AuditHead {
        node: KeyId([3; 16]),
        ..head(1, 1)
    };
    let asked = book.when_asked();
    book.see((&asked, Said::Known), node, ADDRESS).await;
    assert_eq!(book.alarms(), []);
    let store = AuditHead {
        node: KeyId([2; 16]),
        ..head(1, 1)
    };
    see(&book, store.clone()).await;
    assert!(book.alarms()[0].text.starts_with("another store than before answers"));
    let report = book.accept(store.node, "uid 0", "a new KMS").await.unwrap();
    assert_eq!((report.alarms.len(), report.chains.len()), (0, 3));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_an_alarm_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("heads.json");
    std::fs::write(&path, "{\"chains\": [").unwrap();
    let book = open(&path);
    see(&book, head(9, 1)).await;
    assert!(book.alarms()[0].text.contains("cannot be read"), "{:?}", book.alarms());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"chains\": [");
}

#[tokio::test]
async fn no_more_chains_are_remembered_than_a_kms_can_have() {
    let folder = tempfile::tempdir().unwrap();
    let book = open(&folder.path().join("heads.json"));
    for number in 0..2 * CHAINS_MAX {
        let node = KeyId([u8::try_from(number).unwrap(); 16]);
        book.note(
            (&WhenAsked::default(), Said::Known),
            AuditHead { node, ..head(1, 1) },
            ADDRESS,
        );
    }
    assert_eq!(book.report().chains.len(), CHAINS_MAX);
}
