//! The description of the web service against the service itself: routes, roles, messages and error codes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kms_support::{Home, Raw};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tapekey::kms::server::declared;

const DOCUMENT: &str = include_str!("../docs/openapi.json");

fn document() -> Value {
    serde_json::from_str(DOCUMENT).unwrap()
}

/// Every operation: method and path, and what the document says of it.
fn operations(document: &Value) -> BTreeMap<(String, String), Value> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().iter();
            methods.map(move |(method, operation)| ((method.to_uppercase(), path.clone()), operation.clone()))
        })
        .collect()
}

#[test]
fn every_route_and_its_roles_are_described_and_nothing_else_is() {
    let described: BTreeMap<_, _> = operations(&document())
        .into_iter()
        .map(|(route, operation)| {
            let roles = operation["x-tapekey-roles"].as_array().unwrap();
            let roles: BTreeSet<_> = roles.iter().map(|role| role.as_str().unwrap().to_owned()).collect();
            (route, roles)
        })
        .collect();
    let served: BTreeMap<_, _> = declared()
        .into_iter()
        .map(|route| {
            let roles = route.roles.iter().map(|role| role.name().to_owned()).collect();
            ((route.method.to_string(), route.path), roles)
        })
        .collect();
    assert_eq!(
        described, served,
        "docs/openapi.json on the left, the router on the right"
    );
}

#[test]
fn names_in_paths_are_described_and_operations_have_names_of_their_own() {
    let document = document();
    let mut names = BTreeSet::new();
    for ((_, path), operation) in operations(&document) {
        assert!(
            names.insert(operation["operationId"].as_str().unwrap().to_owned()),
            "{path}"
        );
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let in_path: BTreeSet<_> = parameters
            .iter()
            .map(|parameter| {
                document
                    .pointer(&parameter["$ref"].as_str().unwrap()[1..])
                    .expect("it is there")
            })
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let wanted = path.split(['{', '}']).skip(1).step_by(2).collect();
        assert_eq!(in_path, wanted, "{path}");
    }
}

/// Something that is valid against the schema of that name, or not.
fn validator(document: &Value, name: &str) -> jsonschema::Validator {
    let mut schema = document.clone();
    schema["$ref"] = json!(format!("#/components/schemas/{name}"));
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .should_validate_formats(true)
        .build(&schema)
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The golden messages: file, schema, message.
fn golden() -> Vec<(String, String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/kms-api");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let mut vector: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let file = path.display().to_string();
            let schema = vector["schema"]
                .as_str()
                .unwrap_or_else(|| panic!("{file}: which schema of docs/openapi.json?"));
            (file.clone(), schema.to_owned(), vector["message"].take())
        })
        .collect()
}

#[test]
fn every_golden_message_is_as_described() {
    let document = document();
    for (file, schema, message) in golden() {
        let errors: Vec<_> = validator(&document, &schema)
            .iter_errors(&message)
            .map(|error| format!("{error} at {}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{file} against {schema}: {}", errors.join("; "));
    }
}

#[test]
fn a_message_with_a_field_missing_or_of_another_kind_is_not_as_described() {
    let document = document();
    for (file, schema, message) in golden() {
        let validator = validator(&document, &schema);
        let required = document["components"]["schemas"][&schema]["required"]
            .as_array()
            .cloned();
        for field in required.unwrap_or_default() {
            let mut without = message.clone();
            without.as_object_mut().unwrap().remove(field.as_str().unwrap());
            assert!(!validator.is_valid(&without), "{file} without {field}");
        }
        for field in message.as_object().unwrap().keys() {
            let mut other = message.clone();
            other[field] = json!({ "other": [1.5] });
            assert!(!validator.is_valid(&other), "{file} with another {field}");
        }
    }
}

/// The schemas named by requests, or by answers.
fn bodies(document: &Value, of: &str) -> BTreeSet<String> {
    let operations = operations(document).into_values();
    let schemas = operations.filter_map(|operation| {
        let body = operation.pointer(of)?;
        let schema = &body["content"]["application/json"]["schema"]["$ref"];
        Some(schema.as_str()?.rsplit('/').next()?.to_owned())
    });
    schemas.collect()
}

#[test]
fn each_request_and_answer_has_a_golden_message_and_requests_refuse_unknown_fields() {
    let document = document();
    let pinned: BTreeSet<_> = golden().into_iter().map(|(_, schema, _)| schema).collect();
    let (requests, answers) = (bodies(&document, "/requestBody"), bodies(&document, "/responses/200"));
    // These two stand inside other golden messages.
    let inside = ["GroupRecord", "KeyRecord", "SnapshotRecord"].map(str::to_owned).into();
    let missing: Vec<_> = requests
        .union(&answers)
        .filter(|name| !pinned.contains(*name))
        .cloned()
        .collect();
    assert!(
        missing.iter().cloned().collect::<BTreeSet<_>>().is_subset(&inside),
        "no golden message: {missing:?}"
    );
    for request in requests {
        let schema = &document["components"]["schemas"][&request];
        assert_eq!(schema["additionalProperties"], json!(false), "{request}");
    }
}

#[test]
fn every_error_code_is_described() {
    let source = include_str!("../src/kms_api/answers.rs");
    let (_, after) = source.split_once("pub enum ErrorCode {").unwrap();
    let (variants, _) = after.split_once("\n}").unwrap();
    let variants = variants.lines().map(str::trim).filter(|line| line.ends_with(','));
    let served: BTreeSet<_> = variants
        .map(|variant| {
            let letters = variant.trim_end_matches(',').chars().enumerate();
            let snake = letters.map(|(index, letter)| match letter.is_uppercase() && index > 0 {
                true => format!("_{}", letter.to_ascii_lowercase()),
                false => letter.to_ascii_lowercase().to_string(),
            });
            snake.collect::<String>()
        })
        // What a client makes of codes that it does not know.
        .filter(|code| code != "unknown")
        .collect();
    let document = document();
    let described = document["components"]["schemas"]["ErrorAnswer"]["properties"]["code"]["enum"].as_array();
    let described: BTreeSet<_> = described
        .unwrap()
        .iter()
        .map(|code| code.as_str().unwrap().to_owned())
        .collect();
    assert!(served.len() > 10);
    assert_eq!(
        described, served,
        "docs/openapi.json on the left, ErrorCode on the right"
    );
}

#[tokio::test]
async fn whoever_has_a_certificate_can_read_the_description() {
    let home = Home::new();
    let running = home.serve().await;
    for client in ["admin-1", "operator-1", "auditor-1", "media-server-1"] {
        let (status, text) = Raw::new(&home, client, running.address)
            .send(Method::GET, "/v1/openapi.json", "")
            .await;
        assert_eq!((status, text.as_str()), (StatusCode::OK, DOCUMENT), "{client}");
    }
    running.stop().await;
}
