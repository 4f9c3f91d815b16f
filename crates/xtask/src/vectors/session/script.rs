//! Recording a transcript. A script gives inputs and says in words what has to come of each; what came is
//! recorded.

use blazedb_relay_conformance::meaning::hex;
use blazedb_relay_conformance::session::{Answer, Machine, Role, meanings};
use serde_json::{Map, Value as Json, json};

use super::words::{show, show_state};

/// Seeds with which what a client does is compared, so that chance shows.
const SEEDS: [u64; 12] = [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233];
/// Where the search for the next thing that happens by itself ends.
const MAX_IDLE: usize = 200;

/// One vector.
pub struct Test {
    pub id: String,
    pub json: Json,
    pub spec: Vec<&'static str>,
    pub role: Role,
    /// What came of an input, where that is not what the script says.
    pub wrong: Vec<String>,
}

/// One run of the end with one seed.
struct Run {
    seed: u64,
    machine: Machine,
    /// All inputs so far, each with its time.
    past: Vec<(u64, Json)>,
    answer: Option<Answer>,
    /// When something happens by itself.
    next: Option<u64>,
}

pub struct Script {
    role: Role,
    id: String,
    comment: String,
    spec: Vec<&'static str>,
    pub start: Json,
    runs: Vec<Run>,
    steps: Vec<Json>,
    pub state: Json,
    wrong: Vec<String>,
    pub ms: u64,
    /// In which the next thing that happens by itself may come.
    chance: Option<(u64, u64)>,
    /// In which the next reconnect may come.
    pub wait: Option<(u64, u64)>,
}

impl Script {
    pub fn new(role: Role, id: &str, comment: &str, spec: &[&'static str], start: Json) -> Self {
        Self {
            role,
            id: format!("session/{id}"),
            comment: comment.into(),
            spec: spec.into(),
            start,
            runs: Vec::new(),
            steps: Vec::new(),
            state: Json::Null,
            wrong: Vec::new(),
            ms: 0,
            chance: None,
            wait: None,
        }
    }

    fn begin(&mut self) {
        if self.runs.is_empty() {
            let seeds = if self.role == Role::Relay { &SEEDS[..1] } else { &SEEDS[..] };
            self.runs = seeds
                .iter()
                .map(|seed| {
                    let machine = Machine::start(self.role, &self.start, *seed)
                        .unwrap_or_else(|error| panic!("{}: {error}", self.id));
                    Run { seed: *seed, machine, past: Vec::new(), answer: None, next: None }
                })
                .collect();
            self.state = self.start.get("state").cloned().unwrap_or_default();
        }
    }

    /// What is wrong at the step that was just taken.
    pub fn complain(&mut self, what: &str) {
        self.wrong.push(format!("{} step {}: {what}", self.id, self.steps.len()));
    }

    /// The next thing that happens by itself comes at a time in this range.
    pub fn chance(&mut self, from: u64, to: u64) {
        self.chance = Some((from, to));
        self.set_timer();
    }

    /// Gives an input and records what comes of it, which has to be `expect`.
    pub fn give(&mut self, input: Json, expect: &[&str]) -> Vec<Json> {
        self.begin();
        let ms = self.ms;
        if let Some(next) = self.runs[0].next.filter(|next| *next <= ms) {
            self.complain(&format!("something happens at {next} before the input at {ms}"));
        }
        self.step(None, input, expect, |_| ms)
    }

    /// Time passes until something happens by itself: at `at`.
    pub fn timeout(&mut self, at: u64, expect: &[&str]) -> Vec<Json> {
        self.begin();
        if self.runs.iter().any(|run| run.next != Some(at)) {
            let next = self.runs[0].next;
            self.complain(&format!("the next thing happens at {next:?}, not at {at}"));
        }
        self.ms = at;
        self.step(None, json!({ "timeout": {} }), expect, |_| at)
    }

    /// Time passes until something happens by itself, at a time in the range that was said.
    pub fn timeout_by_chance(&mut self, expect: &[&str]) -> Vec<Json> {
        let (from, to) = self.chance.expect("a range");
        self.ms = to;
        self.step(Some(from), json!({ "timeout": {} }), expect, |run| run.next.unwrap_or(to))
    }

    fn step(
        &mut self,
        from: Option<u64>,
        input: Json,
        expect: &[&str],
        at: impl Fn(&Run) -> u64,
    ) -> Vec<Json> {
        self.chance = None;
        for run in &mut self.runs {
            let at = at(run);
            let answer =
                run.machine.step(at, &input).unwrap_or_else(|error| panic!("{}: {error}: {input}", self.id));
            run.past.push((at, input.clone()));
            run.next = next(self.role, &self.start, run);
            run.answer = Some(answer);
        }
        let answers: Vec<Answer> = self.runs.iter().filter_map(|run| run.answer.clone()).collect();
        let outputs: Vec<_> = answers.iter().map(|answer| self.ranged(&answer.outputs)).collect();
        let state = answers[0].state.clone().unwrap_or_default();
        let mut step = Map::new();
        step.insert("at_ms".into(), json!(self.ms.to_string()));
        if let Some(from) = from {
            step.insert("from_ms".into(), json!(from.to_string()));
        }
        step.insert("input".into(), readable(input));
        step.insert("outputs".into(), json!(outputs[0]));
        let changed = changes(&self.state, &state);
        if !changed.is_empty() {
            step.insert("state".into(), Json::Object(changed.clone()));
        }
        step.insert("timer_ms".into(), Json::Null);
        self.steps.push(Json::Object(step));
        for (other, run) in outputs.iter().zip(&self.runs) {
            if *other != outputs[0]
                || run.answer.as_ref().and_then(|answer| answer.state.as_ref()) != answers[0].state.as_ref()
            {
                self.wrong.push(format!("{}: chance decides what comes, and no range was said", self.id));
                break;
            }
        }
        // What changed of the state stands behind the outputs, in any order.
        let mut shown: Vec<_> = outputs[0].iter().map(show).collect();
        let of_state = |text: &String| text.split_once(": ").is_some_and(|(key, _)| state.get(key).is_some());
        let (mut now, mut wanted): (Vec<_>, Vec<_>) =
            expect.iter().map(|text| (*text).to_owned()).partition(of_state);
        now.sort_unstable();
        wanted.append(&mut now);
        let mut now: Vec<_> = changed
            .iter()
            .filter(|(key, _)| !["view", "check", "node_key"].contains(&key.as_str()))
            .map(|(key, value)| format!("{key}: {}", show_state(key, value)))
            .collect();
        now.sort_unstable();
        shown.append(&mut now);
        if shown != wanted {
            self.complain(&format!("wanted {wanted:#?}\n got {shown:#?}"));
        }
        self.state = state;
        self.wait = None;
        self.set_timer();
        outputs[0].clone()
    }

    /// The outputs, with the range in place of a wait that chance has a part in.
    fn ranged(&self, outputs: &[Json]) -> Vec<Json> {
        let mut outputs = outputs.to_vec();
        for output in &mut outputs {
            let Some(reconnect) = output.get_mut("reconnect").and_then(Json::as_object_mut) else { continue };
            for key in ["after_ms", "when_needed_ms"] {
                let Some(found) = reconnect.get_mut(key) else { continue };
                let ms: u64 = found.as_str().and_then(|ms| ms.parse().ok()).unwrap_or(u64::MAX);
                let (from, to) = self.wait.unwrap_or((ms, ms));
                if (from..=to).contains(&ms) {
                    *found = json!([from.to_string(), to.to_string()]);
                }
            }
        }
        outputs
    }

    fn set_timer(&mut self) {
        let next: Vec<_> = self.runs.iter().map(|run| run.next).collect();
        let same = next.iter().all(|at| *at == next[0]);
        let timer = match self.chance {
            Some((from, to)) => {
                if next.iter().any(|at| !at.is_some_and(|at| (from..=to).contains(&at))) {
                    self.complain(&format!("the next thing happens at {next:?}, not from {from} to {to}"));
                }
                json!([from.to_string(), to.to_string()])
            }
            None if same => next[0].map_or(Json::Null, |at| json!(at.to_string())),
            None => Json::Null,
        };
        if let Some(step) = self.steps.last_mut() {
            step["timer_ms"] = timer;
        }
    }

    /// The vector.
    pub fn end(mut self) -> Test {
        let ranged = self.steps.last().is_some_and(|step| step["timer_ms"].is_null());
        if ranged && self.chance.is_none() && self.runs.iter().any(|run| run.next != self.runs[0].next) {
            self.complain("the last timer is one of chance, and no range was said");
        }
        let Self { id, comment, spec, start, steps, role, wrong, .. } = self;
        let json = json!({ "id": id, "comment": comment, "spec": spec, "start": start, "steps": steps });
        Test { id, json, spec, role, wrong }
    }
}

/// When something happens by itself: the past is gone through again, and then time passes.
fn next(role: Role, start: &Json, run: &Run) -> Option<u64> {
    let mut machine = Machine::start(role, start, run.seed).unwrap();
    let mut timer = None;
    let mut now = 0;
    for (at, input) in &run.past {
        timer = machine.step(*at, input).unwrap().timer;
        now = *at;
    }
    for _ in 0..MAX_IDLE {
        now = now.max(timer?);
        let answer = machine.step(now, &json!({ "timeout": {} })).unwrap();
        if !answer.outputs.is_empty() {
            return Some(now);
        }
        timer = answer.timer;
    }
    None
}

fn changes(before: &Json, after: &Json) -> Map<String, Json> {
    let mut changes = Map::new();
    for (key, value) in after.as_object().into_iter().flatten() {
        if before.get(key) != Some(value) {
            changes.insert(key.clone(), value.clone());
        }
    }
    changes
}

/// Most digits of frames that have their meaning beside them: of more, nobody reads it.
const MAX_READABLE: usize = 20_000;

/// The input with the meaning of its frames beside them.
fn readable(mut input: Json) -> Json {
    let is_short =
        |received: &&mut Json| received["hex"].as_str().is_some_and(|hex| hex.len() < MAX_READABLE);
    if let Some(received) = input.get_mut("received").filter(is_short) {
        let bytes = received["hex"].as_str().and_then(blazedb_relay_conformance::meaning::unhex);
        if let Some(messages) = bytes.and_then(|bytes| meanings(&bytes)) {
            received["messages"] = json!(messages);
        }
    }
    input
}

/// An input of bytes from a connection, or for a client from the relay.
pub fn received(conn: Option<u32>, bytes: &[u8]) -> Json {
    match conn {
        Some(conn) => json!({ "received": { "conn": conn.to_string(), "hex": hex(bytes) } }),
        None => json!({ "received": { "hex": hex(bytes) } }),
    }
}
