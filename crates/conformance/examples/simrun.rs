use std::collections::BTreeMap;
use blazedb_relay_conformance::sim;
fn main() {
    let args: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let trace = std::env::args().any(|a| a == "--trace");
    std::panic::set_hook(Box::new(|p| { if std::env::var("PANIC").is_ok() { eprintln!("{p}\n{}", std::backtrace::Backtrace::force_capture()); } }));
    if trace {
        let r = sim::run(args[0], true);
        for l in &r.lines { println!("{l}"); }
        println!("{:?}", r.wrong);
        return;
    }
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut bad: Vec<(u64, String)> = vec![];
    let t = std::time::Instant::now();
    let mut steps = 0;
    for seed in args[0]..args[1] {
        let r = if std::env::var("TWICE").is_ok() { sim::run_twice(seed) } else { sim::run(seed, false) };
        steps += r.steps;
        for (k, v) in r.counts { *counts.entry(k).or_default() += v; }
        if let Some(w) = r.wrong { bad.push((seed, w)); }
    }
    for (k, v) in &counts { println!("{v:>10} {k}"); }
    let mut kinds: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (s, w) in &bad { let k: String = w.chars().map(|c| if c.is_ascii_digit() {'#'} else {c}).take(150).collect(); kinds.entry(k).or_default().push(*s); }
    for (k, v) in &kinds { println!("{:>5} {:?} {}", v.len(), &v[..v.len().min(8)], k.replace('\n', " ")); }
    println!("{} bad of {}, {:?}, {steps} steps", bad.len(), args[1] - args[0], t.elapsed());
}
