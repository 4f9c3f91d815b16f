//! The walk through a session vector.

use core::convert::Infallible;

use serde_json::{Value as Json, json};

use super::{Answer, Machine, Role, differ, differ_state};

/// A session vector.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Test {
    /// Its id.
    pub id: String,
    /// The ids of the rules it shows.
    pub spec: Vec<String>,
    /// Which end it is for.
    pub role: Role,
    /// How the end begins.
    pub start: Json,
    /// What happens to it, and what it does.
    pub steps: Vec<Json>,
}

impl Test {
    /// Reads one test of a file for `role`.
    #[must_use]
    pub fn read(role: Role, test: &Json) -> Option<Self> {
        let spec = test["spec"].as_array()?.iter().filter_map(|id| Some(id.as_str()?.to_owned()));
        Some(Self {
            id: test["id"].as_str()?.into(),
            spec: spec.collect(),
            role,
            start: test.get("start")?.clone(),
            steps: test["steps"].as_array()?.clone(),
        })
    }
}

/// An end that vectors are run against.
pub trait Peer {
    /// Why it cannot be run at all.
    type Error;

    /// Begins anew.
    ///
    /// # Errors
    /// It cannot be run. The inner error: it refused.
    fn start(&mut self, role: Role, start: &Json) -> Result<Result<(), String>, Self::Error>;

    /// Takes one input.
    ///
    /// # Errors
    /// As [`Self::start`].
    fn step(&mut self, at_ms: u64, input: &Json) -> Result<Result<Answer, String>, Self::Error>;
}

/// This implementation, with a seed for chance.
#[derive(Debug)]
pub struct This {
    /// The seed.
    pub seed: u64,
    machine: Option<Machine>,
}

impl This {
    /// Not started yet.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, machine: None }
    }
}

impl Peer for This {
    type Error = Infallible;

    fn start(&mut self, role: Role, start: &Json) -> Result<Result<(), String>, Infallible> {
        Ok(match Machine::start(role, start, self.seed) {
            Ok(machine) => {
                self.machine = Some(machine);
                Ok(())
            }
            Err(refusal) => Err(refusal.to_string()),
        })
    }

    fn step(&mut self, at_ms: u64, input: &Json) -> Result<Result<Answer, String>, Infallible> {
        let Some(machine) = &mut self.machine else { return Ok(Err("not started".into())) };
        Ok(machine.step(at_ms, input).map_err(|refusal| refusal.to_string()))
    }
}

/// Times that an end may want to be told without doing anything, between two steps.
const MAX_IDLE: usize = 10_000;

/// What is wrong with what an end does, at the first step at which something is.
///
/// # Errors
/// The end cannot be run.
pub fn run<P: Peer>(peer: &mut P, test: &Test) -> Result<Option<String>, P::Error> {
    let mut walk = Walk { peer, now: 0, timer: None };
    if let Err(why) = walk.peer.start(test.role, &test.start)? {
        return Ok(Some(format!("start: {why}")));
    }
    let mut state = test.start.get("state").cloned().unwrap_or_default();
    for (number, step) in (1..).zip(&test.steps) {
        if let Some(what) = walk.step(test.role, step, &mut state)? {
            return Ok(Some(format!("step {number}: {what}")));
        }
    }
    Ok(None)
}

struct Walk<'p, P> {
    peer: &'p mut P,
    now: u64,
    timer: Option<u64>,
}

impl<P: Peer> Walk<'_, P> {
    fn step(&mut self, role: Role, step: &Json, state: &mut Json) -> Result<Option<String>, P::Error> {
        let number = |json: &Json| json.as_str().and_then(|text| text.parse::<u64>().ok());
        let Some(at) = number(&step["at_ms"]) else { return Ok(Some("it has no time".into())) };
        let from = number(&step["from_ms"]).unwrap_or(at);
        let input = &step["input"];
        let answer =
            if input.get("timeout").is_some() { self.wait(from, at)? } else { self.take(at, input)? };
        let answer = match answer {
            Ok(answer) => answer,
            Err(what) => return Ok(Some(what)),
        };
        let none = Vec::new();
        if let Some(what) = differ(role, step["outputs"].as_array().unwrap_or(&none), &answer.outputs) {
            return Ok(Some(what));
        }
        if let Some(changes) = step["state"].as_object() {
            for (key, value) in changes {
                state[key.as_str()] = value.clone();
            }
        }
        if let Some(got) = &answer.state
            && let Some(what) = differ_state(state, got)
        {
            return Ok(Some(what));
        }
        let timer = &step["timer_ms"];
        let latest = number(timer.as_array().and_then(|range| range.last()).unwrap_or(timer));
        if let Some(latest) = latest
            && answer.timer.is_none_or(|timer| timer > latest)
        {
            let timer = answer.timer.map_or_else(|| "none".into(), |timer| timer.to_string());
            return Ok(Some(format!("it must be told the time at {latest}, its timer is {timer}")));
        }
        Ok(None)
    }

    /// Gives an input at `at`, and before that the time whenever the end wants it.
    fn take(&mut self, at: u64, input: &Json) -> Result<Result<Answer, String>, P::Error> {
        for _ in 0..MAX_IDLE {
            let Some(timer) = self.timer.filter(|timer| *timer < at) else { break };
            let answer = self.tell(timer)?;
            if let Ok(Answer { outputs, .. }) = &answer
                && let Some(first) = outputs.first()
            {
                return Ok(Err(format!("wanted nothing at {}, got {first}", self.now)));
            }
            if answer.is_err() {
                return Ok(answer);
            }
        }
        self.now = self.now.max(at);
        self.give(input)
    }

    /// Gives the time whenever the end wants it, until it does something: not before `from`, nor after `to`.
    fn wait(&mut self, from: u64, to: u64) -> Result<Result<Answer, String>, P::Error> {
        for _ in 0..MAX_IDLE {
            let Some(timer) = self.timer.filter(|timer| *timer <= to) else {
                return Ok(Err(format!("it wants to do nothing by {to}")));
            };
            let answer = self.tell(timer)?;
            let Ok(Answer { outputs, .. }) = &answer else { return Ok(answer) };
            if let Some(first) = outputs.first() {
                let early = self.now < from;
                return Ok(if early { Err(format!("too early, at {}: {first}", self.now)) } else { answer });
            }
        }
        Ok(Err("its timer never does anything".into()))
    }

    fn tell(&mut self, timer: u64) -> Result<Result<Answer, String>, P::Error> {
        self.now = self.now.max(timer);
        self.give(&json!({ "timeout": {} }))
    }

    fn give(&mut self, input: &Json) -> Result<Result<Answer, String>, P::Error> {
        let answer = self.peer.step(self.now, input)?;
        if let Ok(answer) = &answer {
            self.timer = answer.timer;
        }
        Ok(answer)
    }
}
