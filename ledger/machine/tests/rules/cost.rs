//! What a write costs in the rules alone, on a state in memory. Prints; asserts nothing about time.

use std::time::{Duration, Instant};

use aval_machine::testkit::{Kit, Party};
use aval_machine::{Checked, authorize, check_all, execute_block};
use aval_types::{SignedTransaction, SubmittedTransaction, Witness};

const COMPANIES: usize = 500;
const ROUNDS: usize = 20;

/// CPU time of this thread where the system tells it, so that a busy machine does not spoil the figures.
fn cpu_time(begin: Instant) -> Duration {
    let nanoseconds = std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok());
    nanoseconds.map_or_else(|| begin.elapsed(), Duration::from_nanos)
}

fn per(total: Duration, count: usize) -> String {
    format!("{:7.1} µs", total.as_secs_f64() * 1e6 / count as f64)
}

#[test]
#[ignore = "prints what a write costs; run it with --run-ignored all --no-capture"]
fn what_an_update_costs() {
    let mut kit = Kit::ready(1);
    let mut companies: Vec<Party> = (0..COMPANIES as u64).map(|number| kit.company(number)).collect();
    let created: Vec<SubmittedTransaction> =
        companies.iter().map(|company| company.create_with(&kit, &kit.membership(company))).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        let origin = Instant::now();
        let now = || cpu_time(origin);
        let begin = now();
        let checked: Vec<Checked> =
            check_all(created, &kit.rules()).into_iter().map(Result::unwrap).collect();
        let check = now() - begin;
        let begin = now();
        kit.apply_block(&checked).unwrap();
        let execute = now() - begin;
        println!(
            "did.create with a presentation: check {}, execute {}",
            per(check, COMPANIES),
            per(execute, COMPANIES)
        );
        let [mut read, mut check, mut once, mut execute] = [Duration::ZERO; 4];
        let mut bytes = 0;
        for round in 0..ROUNDS {
            let envelopes: Vec<Vec<u8>> = companies
                .iter_mut()
                .map(|company| {
                    company.update(&kit, kit.document(company, round as u64)).transaction.to_envelope()
                })
                .collect();
            bytes = envelopes[0].len();
            let begin = now();
            let submitted: Vec<SubmittedTransaction> = envelopes
                .iter()
                .map(|envelope| SubmittedTransaction {
                    transaction: SignedTransaction::from_envelope(envelope).unwrap(),
                    witness: Witness::None,
                })
                .collect();
            read += now() - begin;
            let begin = now();
            let checked: Vec<Checked> =
                check_all(submitted, &kit.rules()).into_iter().map(Result::unwrap).collect();
            check += now() - begin;
            let context = kit.next_context();
            let begin = now();
            for checked in &checked {
                authorize(kit.state(), checked, &context).unwrap().unwrap();
            }
            once += now() - begin;
            let begin = now();
            execute_block(kit.state(), &context, &checked).unwrap();
            execute += now() - begin;
            kit.apply_block(&checked).unwrap();
        }
        let count = COMPANIES * ROUNDS;
        println!("did.update ({bytes} bytes of envelope), one core, batches:");
        println!("  read the envelope {}", per(read, count));
        println!("  check             {}", per(check, count));
        println!("  authorize         {}", per(once, count));
        println!("  execute           {}  (authorize included)", per(execute, count));
    });
}
