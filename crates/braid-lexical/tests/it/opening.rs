use std::path::Path;
use std::time::Duration;

use braid_core::{ErrorCode, Language, LanguageSetting, LexicalIndex, Sequence};
use braid_lexical::LexicalOptions;

use crate::{batch, entry, found, index_of, open};

#[tokio::test]
async fn a_directory_that_disappeared_opens_empty() {
    let (directory, index) = index_of(Language::English, &["amber"]).await;
    drop(index);
    std::fs::remove_dir_all(directory.path()).unwrap();
    let index = open(directory.path(), LexicalOptions::default()).unwrap();
    assert_eq!(index.watermark().await.unwrap(), Sequence::ZERO);
    assert!(index.slots().await.unwrap().is_empty());
}

#[tokio::test]
async fn views_outlive_their_directory() {
    let (directory, index) = index_of(Language::English, &["amber"]).await;
    let view = index.pin().await.unwrap();
    drop(index);
    std::fs::remove_dir_all(directory.path()).unwrap();
    let found = view
        .search("amber", &braid_core::Selection::default(), 10)
        .await
        .unwrap();
    assert_eq!(found.candidates.len(), 1);
}

#[tokio::test]
async fn another_language_is_another_index() {
    let (directory, index) = index_of(Language::English, &["amber"]).await;
    drop(index);
    let german = LexicalOptions {
        language: LanguageSetting::Fixed(Language::German),
        ..LexicalOptions::default()
    };
    check_refused(directory.path(), german, ErrorCode::FingerprintMismatch);
}

#[tokio::test]
async fn damage_is_reported_with_the_command_that_mends_it() {
    for damaged in ["meta.json", ".fast", ".term"] {
        let (directory, index) = index_of(Language::English, &["amber basil"]).await;
        drop(index);
        let file = find(directory.path(), damaged);
        std::fs::write(file, b"not what was written").unwrap();
        check_refused(
            directory.path(),
            LexicalOptions::default(),
            ErrorCode::Corrupt,
        );
    }
}

#[tokio::test]
async fn a_missing_segment_file_is_damage() {
    let (directory, index) = index_of(Language::English, &["amber basil"]).await;
    drop(index);
    std::fs::remove_file(find(directory.path(), ".idx")).unwrap();
    check_refused(
        directory.path(),
        LexicalOptions::default(),
        ErrorCode::Corrupt,
    );
}

#[tokio::test]
async fn flipped_bytes_are_found_by_checksum() {
    let (directory, index) = index_of(Language::English, &["amber basil"]).await;
    assert!(index.damaged_files().await.unwrap().is_empty());
    let file = find(directory.path(), ".idx");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[0] ^= 0xff;
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(index.damaged_files().await.unwrap().len(), 1);
}

#[tokio::test]
async fn one_process_writes() {
    let (directory, first) = index_of(Language::English, &["amber"]).await;
    let second = open(directory.path(), LexicalOptions::default()).unwrap();
    let refused = second
        .apply(batch(2, vec![entry(1, "basil")], &[]))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), ErrorCode::DataDirLocked);
    first.close_writer().await.unwrap();
    second
        .apply(batch(2, vec![entry(1, "basil")], &[]))
        .await
        .unwrap();
    assert_eq!(found(&second, "basil").await, [1]);
}

#[tokio::test]
async fn the_writer_is_open_only_while_batches_come() {
    let directory = tempfile::tempdir().unwrap();
    let options = LexicalOptions {
        writer_idle: Duration::ZERO,
        ..LexicalOptions::default()
    };
    let index = open(directory.path(), options).unwrap();
    assert!(!index.is_writer_open(), "opened by the first batch only");
    index
        .apply(batch(1, vec![entry(1, "amber")], &[]))
        .await
        .unwrap();
    while index.is_writer_open() {
        tokio::task::yield_now().await;
    }
    index
        .apply(batch(2, vec![entry(2, "amber")], &[1]))
        .await
        .unwrap();
    assert_eq!(found(&index, "amber").await, [2]);
}

#[track_caller]
fn check_refused(directory: &Path, options: LexicalOptions, code: ErrorCode) {
    let error = open(directory, options).unwrap_err();
    assert_eq!(error.code(), code, "{}", error.chain());
    let help = error.help().unwrap_or_default();
    assert!(help.contains("braid collection rebuild NAME"), "{help}");
}

/// The one file of the index whose name ends so.
fn find(directory: &Path, ending: &str) -> std::path::PathBuf {
    let files = std::fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().path());
    files
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(ending))
        .unwrap_or_else(|| panic!("no {ending} in {}", directory.display()))
}
