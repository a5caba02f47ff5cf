//! What a write costs in the rules alone, on a state in memory. Prints; asserts nothing about time.

use std::time::{Duration, Instant};

use aval_machine::testkit::{Kit, Party};
use aval_machine::{Checked, authorize, check_all, execute_block};
use aval_types::{SignedTransaction, SubmittedTransaction, Witness};

const COMPANIES: usize = 500;
const ROUNDS: usize = 20;

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
        let begin = Instant::now();
        let checked: Vec<Checked> =
            check_all(created, &kit.rules()).into_iter().map(Result::unwrap).collect();
        let check = begin.elapsed();
        let begin = Instant::now();
        kit.apply_block(&checked).unwrap();
        let execute = begin.elapsed();
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
            let begin = Instant::now();
            let submitted: Vec<SubmittedTransaction> = envelopes
                .iter()
                .map(|envelope| SubmittedTransaction {
                    transaction: SignedTransaction::from_envelope(envelope).unwrap(),
                    witness: Witness::None,
                })
                .collect();
            read += begin.elapsed();
            let begin = Instant::now();
            let checked: Vec<Checked> =
                check_all(submitted, &kit.rules()).into_iter().map(Result::unwrap).collect();
            check += begin.elapsed();
            let context = kit.next_context();
            let begin = Instant::now();
            for checked in &checked {
                authorize(kit.state(), checked, &context).unwrap().unwrap();
            }
            once += begin.elapsed();
            let begin = Instant::now();
            execute_block(kit.state(), &context, &checked).unwrap();
            execute += begin.elapsed();
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
