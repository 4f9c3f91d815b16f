//! Time to encode, to decode and visit everything, and to validate, of ours and of other formats.
//!
//! `cargo bench --bench codec [filter]`. Names are `data/unit/work/format`; each iteration is one pass
//! over 1,000 operations. On a busy machine `cargo bench --bench table` compares more reliably.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a benchmark may stop and talk")]

mod support;

use core::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use support::{DATA_SETS, Unit, Work, contenders};

fn codec(criterion: &mut Criterion) {
    for (data, load) in DATA_SETS {
        let samples = match load() {
            Ok(samples) => samples,
            Err(reason) => {
                eprintln!("{data} is skipped: {reason}");
                continue;
            }
        };
        let mut contenders = contenders(&samples);
        for unit in Unit::ALL {
            for work in Work::ALL {
                let mut group = criterion.benchmark_group(format!("{data}/{}/{}", unit.name(), work.name()));
                group.throughput(Throughput::Elements(samples.len() as u64));
                for contender in &mut contenders {
                    group.bench_function(contender.name(), |bencher| {
                        bencher.iter(|| contender.run(unit, work));
                    });
                }
                group.finish();
            }
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = codec
}
criterion_main!(benches);
