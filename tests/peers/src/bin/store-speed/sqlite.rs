//! SQLite's `:memory:` through the system's library: prepared statements, chains of
//! relationships kept by hand as the store keeps them.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use crate::Keeper;

#[repr(C)]
struct Database {
    _private: [u8; 0],
}

#[repr(C)]
struct RawStatement {
    _private: [u8; 0],
}

const OK: c_int = 0;
const ROW: c_int = 100;
const DONE: c_int = 101;

unsafe extern "C" {
    fn sqlite3_open(name: *const c_char, database: *mut *mut Database) -> c_int;
    fn sqlite3_close(database: *mut Database) -> c_int;
    fn sqlite3_libversion() -> *const c_char;
    fn sqlite3_prepare_v2(
        database: *mut Database,
        sql: *const c_char,
        length: c_int,
        statement: *mut *mut RawStatement,
        rest: *mut *const c_char,
    ) -> c_int;
    fn sqlite3_bind_int64(statement: *mut RawStatement, at: c_int, value: i64) -> c_int;
    fn sqlite3_step(statement: *mut RawStatement) -> c_int;
    fn sqlite3_reset(statement: *mut RawStatement) -> c_int;
    fn sqlite3_column_int64(statement: *mut RawStatement, column: c_int) -> i64;
    fn sqlite3_finalize(statement: *mut RawStatement) -> c_int;
    fn sqlite3_last_insert_rowid(database: *mut Database) -> i64;
    fn sqlite3_exec(
        database: *mut Database,
        sql: *const c_char,
        callback: *const c_void,
        argument: *mut c_void,
        error: *mut *mut c_char,
    ) -> c_int;
}

struct Statement(*mut RawStatement);

impl Statement {
    /// Runs it with these parameters; the first column of a row, if there is one.
    fn run(&self, parameters: &[i64]) -> Option<i64> {
        // SAFETY: the statement was prepared and lives as long as its database.
        unsafe {
            for (at, value) in parameters.iter().enumerate() {
                assert_eq!(sqlite3_bind_int64(self.0, at as c_int + 1, *value), OK);
            }
            let row = match sqlite3_step(self.0) {
                ROW => Some(sqlite3_column_int64(self.0, 0)),
                DONE => None,
                code => panic!("SQLite: error {code}"),
            };
            assert_eq!(sqlite3_reset(self.0), OK);
            row
        }
    }
}

/// A database in memory.
pub(crate) struct Memory {
    database: *mut Database,
    begin: Statement,
    commit: Statement,
    insert: Statement,
    update: Statement,
    select: Statement,
}

fn execute(database: *mut Database, sql: &CStr) {
    // SAFETY: an open database and a string that ends; no callback is asked for.
    let code = unsafe {
        sqlite3_exec(database, sql.as_ptr(), ptr::null(), ptr::null_mut(), ptr::null_mut())
    };
    assert_eq!(code, OK, "{sql:?}");
}

fn prepare(database: *mut Database, sql: &str) -> Statement {
    let sql = CString::new(sql).expect("no zero in it");
    let mut raw = ptr::null_mut();
    // SAFETY: an open database, a string that ends, and a place for the answer.
    let code = unsafe { sqlite3_prepare_v2(database, sql.as_ptr(), -1, &mut raw, ptr::null_mut()) };
    assert_eq!(code, OK, "{sql:?}");
    Statement(raw)
}

impl Memory {
    pub(crate) fn new(nodes: u64) -> Self {
        let mut database = ptr::null_mut();
        // SAFETY: a name that ends and a place for the answer.
        let code = unsafe { sqlite3_open(c":memory:".as_ptr(), &mut database) };
        assert_eq!(code, OK, "a database in memory opens");
        execute(
            database,
            c"CREATE TABLE node (id INTEGER PRIMARY KEY, first INTEGER, number INTEGER);
              CREATE TABLE relationship (id INTEGER PRIMARY KEY, kind INTEGER, source INTEGER,
                  target INTEGER, next_of_source INTEGER, next_of_target INTEGER);",
        );
        let insert = prepare(
            database,
            "INSERT INTO relationship VALUES (NULL, 1, ?1, ?2,
             (SELECT first FROM node WHERE id = ?1), (SELECT first FROM node WHERE id = ?2))",
        );
        let memory = Memory {
            database,
            begin: prepare(database, "BEGIN"),
            commit: prepare(database, "COMMIT"),
            insert,
            update: prepare(database, "UPDATE node SET first = ?2, number = ?3 WHERE id = ?1"),
            select: prepare(database, "SELECT number FROM node WHERE id = ?1"),
        };
        let node = prepare(database, "INSERT INTO node VALUES (?1, 0, -1)");
        memory.begin.run(&[]);
        for n in 0..nodes {
            node.run(&[n as i64]);
        }
        for n in 0..nodes {
            memory.relate(n as i64, (n.wrapping_mul(7919) % nodes) as i64, -1);
        }
        memory.commit.run(&[]);
        // SAFETY: prepared above, and not used again.
        unsafe { sqlite3_finalize(node.0) };
        memory
    }

    fn relate(&self, from: i64, to: i64, number: i64) {
        self.insert.run(&[from, to]);
        // SAFETY: the database is open.
        let relationship = unsafe { sqlite3_last_insert_rowid(self.database) };
        for node in [from, to] {
            self.update.run(&[node, relationship, number]);
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let statements = [&self.begin, &self.commit, &self.insert, &self.update, &self.select];
        // SAFETY: each was prepared once; the database goes last.
        unsafe {
            for statement in statements {
                sqlite3_finalize(statement.0);
            }
            sqlite3_close(self.database);
        }
    }
}

impl Keeper for Memory {
    fn name(&self) -> String {
        // SAFETY: the library's own constant.
        let version = unsafe { CStr::from_ptr(sqlite3_libversion()) };
        format!("SQLite {} :memory:", version.to_string_lossy())
    }

    fn transaction(&mut self, from: u64, to: u64, number: i64) {
        self.begin.run(&[]);
        self.relate(from as i64, to as i64, number);
        self.commit.run(&[]);
    }

    fn read(&mut self, node: u64) -> i64 {
        self.select.run(&[node as i64]).expect("every node is there")
    }
}
