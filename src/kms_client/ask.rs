//! One question to several addresses: who is asked next, what counts as an answer, and how much of one is read.

use std::time::Duration;

use hyper::body::Bytes;
use reqwest::{Method, Response, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::{Zeroize, Zeroizing};

use super::KmsClient;
use super::address::KmsAddress;
use super::error::{KmsClientError, NoAnswer, Unanswered, printable};
use super::heads::Exchange;
use crate::kms_api::{
    ANSWER_LENGTH_MAX, ErrorAnswer, ErrorCode, KNOWN_HEAD_HEADER, NameError, PageQuery, REQUEST_LENGTH_MAX,
};

/// How long one address is asked again while it says that we ask too often. Less than the daemon grants a question beyond its addresses' time.
const PATIENCE: Duration = Duration::from_secs(4);

/// A request as every address gets it.
pub(super) struct Question<'a> {
    /// What is wanted, as errors say it.
    attempt: String,
    method: Method,
    path: &'static str,
    names: Vec<&'a str>,
    query: Vec<(&'static str, String)>,
    body: Option<Bytes>,
    /// How long an address may take, where the thing takes longer than others.
    limit: Option<Duration>,
    /// Whether it may be sent again when it is not known whether it was served.
    pub(super) repeatable: bool,
}

impl<'a> Question<'a> {
    pub(super) fn new(attempt: String, method: Method, path: &'static str) -> Self {
        Self {
            attempt,
            method,
            path,
            names: Vec::new(),
            query: Vec::new(),
            body: None,
            limit: None,
            repeatable: true,
        }
    }

    /// More segments of the address.
    pub(super) fn names(mut self, names: Vec<&'a str>) -> Self {
        self.names = names;
        self
    }

    pub(super) fn query(mut self, query: PageQuery) -> Self {
        let group = query.group.map(|group| ("group", group.into()));
        let after = query.after.map(|after| ("after", after));
        self.query = group.into_iter().chain(after).collect();
        self
    }

    /// What stands behind the question mark.
    pub(super) fn parameters(mut self, parameters: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.query = parameters.into_iter().collect();
        self
    }

    /// How long an address may take instead of what holds for other questions.
    pub(super) fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// The request's JSON, wiped when it was sent: some requests carry keys. Their types always serialise.
    pub(super) fn body(mut self, body: &impl Serialize) -> Self {
        // Room for any request that a KMS takes, so that the buffer never grows and leaves a copy behind.
        let mut text = Zeroizing::new(Vec::with_capacity(REQUEST_LENGTH_MAX));
        let written = serde_json::to_writer(&mut *text, body);
        self.body = written.ok().map(|()| Bytes::from_owner(text));
        self
    }
}

/// What one address answered instead of what was asked for.
enum Failure {
    Refused {
        status: StatusCode,
        answer: ErrorAnswer,
        /// When to ask the same again, if the KMS said so.
        wait: Option<Duration>,
    },
    NoAnswer(NoAnswer),
}

impl KmsClient {
    /// Asks one address after the other until one gives an answer that passes `check`, or refuses.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        question: &Question<'_>,
        check: impl Fn(&T) -> Result<(), String>,
    ) -> Result<(T, &KmsAddress), KmsClientError> {
        let mut earlier = Vec::new();
        for address in &self.addresses {
            let why = match self.ask_under_our_certificate(address, question, &check).await {
                Ok(answer) => return Ok((answer, address)),
                Err(Failure::Refused { status, answer, .. }) => {
                    return Err(refused(
                        question.attempt.clone(),
                        address.clone(),
                        status,
                        answer,
                        earlier,
                    ));
                }
                Err(Failure::NoAnswer(why)) => why,
            };
            // Nothing was done then, so asking another address cannot do the thing twice.
            let not_done = matches!(why, NoAnswer::NotConnected(_) | NoAnswer::Busy(_));
            if !question.repeatable && !not_done {
                let (attempt, address) = (question.attempt.clone(), address.clone());
                return Err(KmsClientError::Uncertain {
                    attempt,
                    address,
                    why,
                    earlier,
                });
            }
            earlier.push(Unanswered {
                address: address.clone(),
                why,
            });
        }
        Err(KmsClientError::Unreachable {
            attempt: question.attempt.clone(),
            asked: earlier,
        })
    }

    /// Asks for a change: not sent to a second address once a first may have made it.
    pub(super) async fn change<T: DeserializeOwned>(&self, mut question: Question<'_>) -> Result<T, KmsClientError> {
        question.repeatable = false;
        Ok(self.ask(&question, |_| Ok(())).await?.0)
    }

    /// What the KMS would say to a name that is none; nothing is sent.
    pub(super) fn misnamed(&self, attempt: &str, error: &NameError) -> KmsClientError {
        let text = error.to_string();
        let (error, hint) = text.split_once("\nhint: ").unwrap_or((&text, ""));
        let answer = ErrorAnswer {
            code: ErrorCode::BadRequest,
            error: error.to_owned(),
            hint: hint.to_owned(),
        };
        match self.addresses.first() {
            Some(address) => refused(
                attempt.to_owned(),
                address.clone(),
                StatusCode::BAD_REQUEST,
                answer,
                Vec::new(),
            ),
            None => KmsClientError::Unreachable {
                attempt: attempt.to_owned(),
                asked: Vec::new(),
            },
        }
    }

    /// Asks once more if our certificate is refused, which does nothing, and there is another one in its place.
    async fn ask_under_our_certificate<T: DeserializeOwned>(
        &self,
        address: &KmsAddress,
        question: &Question<'_>,
        check: impl Fn(&T) -> Result<(), String>,
    ) -> Result<T, Failure> {
        match self.ask_patiently(address, question, &check).await {
            Err(Failure::Refused { answer, .. })
                if answer.code == ErrorCode::Certificate && self.takes_up_other_files().await =>
            {
                self.ask_patiently(address, question, &check).await
            }
            asked => asked,
        }
    }

    /// Asks again, a few times and not for long, while the KMS says that we ask too often: nothing was done then.
    async fn ask_patiently<T: DeserializeOwned>(
        &self,
        address: &KmsAddress,
        question: &Question<'_>,
        check: impl Fn(&T) -> Result<(), String>,
    ) -> Result<T, Failure> {
        let mut patience = PATIENCE;
        loop {
            let failure = match self.ask_one(address, question, &check).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            match failure {
                Failure::Refused { wait: Some(wait), .. } if wait <= patience => {
                    patience -= wait;
                    tokio::time::sleep(wait).await;
                }
                failure => return Err(failure),
            }
        }
    }

    async fn ask_one<T: DeserializeOwned>(
        &self,
        address: &KmsAddress,
        question: &Question<'_>,
        check: impl Fn(&T) -> Result<(), String>,
    ) -> Result<T, Failure> {
        let mut url = address.join(question.path, &question.names);
        for (name, value) in &question.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        let mut request = self.own().http.request(question.method.clone(), url);
        if let Some(body) = &question.body {
            request = request
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.clone());
        }
        let limit = question.limit.unwrap_or(self.timeout);
        let exchange = self
            .heads
            .as_ref()
            .map(|heads| Exchange::begin(heads, address.to_string()));
        if let Some(known) = exchange.as_ref().and_then(Exchange::known_head) {
            request = request.header(KNOWN_HEAD_HEADER, known);
        }
        let response = request
            .timeout(limit)
            .send()
            .await
            .map_err(|error| Failure::NoAnswer(no_answer(&error, limit)))?;
        if let Some(exchange) = &exchange {
            exchange.hear(response.headers()).await;
        }
        let status = response.status();
        let wait = retry_after(&response);
        let body = read(response, limit).await.map_err(Failure::NoAnswer)?;
        if !status.is_success() {
            return Err(failure(status, &body, wait));
        }
        let answer = serde_json::from_slice(&body)
            .map_err(|error| garbage(format!("{status} with JSON that {}", whereabouts(&error))))?;
        check(&answer).map_err(garbage)?;
        Ok(answer)
    }
}

/// The whole body, never more than a KMS would send, in one buffer that is wiped.
pub(super) async fn read(mut response: Response, limit: Duration) -> Result<Zeroizing<Vec<u8>>, NoAnswer> {
    let too_long = || NoAnswer::Garbage(format!("longer than {ANSWER_LENGTH_MAX} bytes"));
    let promised = response.content_length().unwrap_or(0);
    if usize::try_from(promised).is_ok_and(|length| length > ANSWER_LENGTH_MAX) {
        return Err(too_long());
    }
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(|error| no_answer(&error, limit))? {
        if body.len() + chunk.len() > ANSWER_LENGTH_MAX {
            return Err(too_long());
        }
        append(&mut body, &chunk);
        if let Ok(mut chunk) = chunk.try_into_mut() {
            chunk.zeroize();
        }
    }
    Ok(body)
}

pub(super) fn no_answer(error: &reqwest::Error, limit: Duration) -> NoAnswer {
    let text = deepest(error);
    if let Some(tls) = tls_error(error) {
        NoAnswer::Tls(tls)
    } else if error.is_timeout() {
        NoAnswer::TimedOut {
            timeout_ms: limit.as_millis(),
        }
    } else if error.is_connect() {
        NoAnswer::NotConnected(text)
    } else {
        NoAnswer::Broken(text)
    }
}

/// Grows `body` by `chunk` without leaving an unwiped copy behind, as a growing `Vec` would.
fn append(body: &mut Zeroizing<Vec<u8>>, chunk: &[u8]) {
    if body.capacity() - body.len() < chunk.len() {
        let mut larger = Zeroizing::new(Vec::with_capacity((body.len() + chunk.len()) * 2));
        larger.extend_from_slice(body);
        *body = larger;
    }
    body.extend_from_slice(chunk);
}

/// How long a KMS that is asked too often wants to be left alone: never less than a second.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(seconds.parse::<u32>().ok()?.max(1).into()))
}

fn failure(status: StatusCode, body: &[u8], wait: Option<Duration>) -> Failure {
    let Ok(answer) = serde_json::from_slice::<ErrorAnswer>(body) else {
        return garbage(format!("{status} without a reason"));
    };
    if status.is_client_error() {
        let wait = wait.filter(|_| status == StatusCode::TOO_MANY_REQUESTS);
        Failure::Refused { status, answer, wait }
    } else if answer.code == ErrorCode::Busy {
        Failure::NoAnswer(NoAnswer::Busy(printable(&answer.error)))
    } else if status.is_server_error() {
        Failure::NoAnswer(NoAnswer::Failed {
            status,
            error: printable(&answer.error),
            hint: printable(&answer.hint),
        })
    } else {
        garbage(format!("unexpected status {status}"))
    }
}

fn refused(
    attempt: String,
    address: KmsAddress,
    status: StatusCode,
    answer: ErrorAnswer,
    earlier: Vec<Unanswered>,
) -> KmsClientError {
    let (error, hint) = (printable(&answer.error), printable(&answer.hint));
    KmsClientError::Refused {
        attempt,
        address,
        status,
        code: answer.code,
        error,
        hint,
        earlier,
    }
}

fn garbage(problem: impl Into<String>) -> Failure {
    Failure::NoAnswer(NoAnswer::Garbage(printable(&problem.into())))
}

/// What is wrong with a JSON text, without a word of it: it may hold a key.
fn whereabouts(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Io => "cannot be read",
        serde_json::error::Category::Syntax => "is malformed",
        serde_json::error::Category::Data => "has other fields or values than expected",
        serde_json::error::Category::Eof => "ends early",
    };
    format!("{what}, line {} column {}", error.line(), error.column())
}

fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

fn deepest(error: &reqwest::Error) -> String {
    chain(error)
        .last()
        .map(|cause| printable(&cause.to_string()))
        .unwrap_or_default()
}

/// The TLS error inside `error`, if it is one.
fn tls_error(error: &reqwest::Error) -> Option<String> {
    chain(error).find_map(|cause| tls_inside(cause)).map(explain)
}

/// rustls hides its error in I/O errors, several deep, and their sources skip what they hold.
fn tls_inside<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = cause.downcast_ref() {
        return Some(tls);
    }
    let held = cause.downcast_ref::<std::io::Error>()?.get_ref()?;
    tls_inside(held)
}

fn explain(error: &rustls::Error) -> String {
    use rustls::AlertDescription as Alert;
    match error {
        rustls::Error::AlertReceived(Alert::CertificateExpired) => {
            "the KMS says that our certificate has expired".to_owned()
        }
        rustls::Error::AlertReceived(Alert::UnknownCA | Alert::BadCertificate | Alert::DecryptError) => {
            "the KMS does not know the CA of our certificate".to_owned()
        }
        rustls::Error::AlertReceived(alert) => format!("the KMS refused the connection: {alert:?}"),
        other => printable(&other.to_string()),
    }
}
