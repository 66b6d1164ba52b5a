package mvcc

// Txn is a declarative transaction: if every compare of If holds, Then runs,
// otherwise Else; all of it at one revision.
type Txn struct {
	If   []Compare
	Then []Op
	Else []Op
	// CheckLease is asked for the lease of each put of the branches chosen,
	// before any of them runs; its error refuses the transaction. It must not
	// call the store. nil: every lease is good. Not read in nested ones.
	CheckLease func(id int64) error
}

// Target is the field of a key that a Compare looks at.
type Target uint8

// The fields a Compare can look at, numbered as on etcd's wire.
const (
	TargetVersion Target = 0
	TargetCreate  Target = 1
	TargetMod     Target = 2
	TargetValue   Target = 3
	TargetLease   Target = 4
)

// Relation is how a Compare relates a key's field (left) to its own operand
// (right).
type Relation uint8

// The relations, numbered as on etcd's wire.
const (
	Equal    Relation = 0
	Greater  Relation = 1
	Less     Relation = 2
	NotEqual Relation = 3
)

// Compare is one condition of a Txn. Over a range (End given) every key of
// the range must satisfy it; an empty range counts as one missing key. A
// missing key has 0 in every numeric field, and satisfies no compare of its
// value.
type Compare struct {
	Target   Target
	Relation Relation
	Key, End []byte // as SpanOf reads them
	Value    []byte // operand of TargetValue
	Int      int64  // operand of the other targets
}

// OpType tells the operations of a Txn apart.
type OpType uint8

// The operations of a Txn.
const (
	OpRange OpType = iota + 1
	OpPut
	OpDeleteRange
	OpTxn
)

// Op is one operation of a Txn. Only the fields of its Type are read.
type Op struct {
	Type     OpType
	Key, End []byte // OpPut reads Key alone; the others as SpanOf reads them

	Value       []byte // OpPut
	Lease       int64  // OpPut: 0 is no lease
	IgnoreValue bool   // OpPut: keep the present value; the key must exist
	IgnoreLease bool   // OpPut: keep the present lease; the key must exist

	PrevKV bool // OpPut, OpDeleteRange: answer what was there before

	Range RangeOptions // OpRange; of negative revisions only -1 is the current one
	Txn   *Txn         // OpTxn
}

// TxnResult is the answer to a Txn.
type TxnResult struct {
	// Succeeded tells which branch ran: Then if true.
	Succeeded bool
	// Rev is the revision after the transaction: its own if it changed
	// something, else the one it ran at.
	Rev int64
	// Results mirror the operations of the branch that ran.
	Results []OpResult
}

// OpResult is the answer to one Op.
type OpResult struct {
	Type    OpType
	Range   RangeResult // OpRange
	Deleted int64       // OpDeleteRange
	// Prev holds what was there before, if PrevKV asked for it: at most one
	// for OpPut, every deleted key in order for OpDeleteRange.
	Prev []KeyValue
	Txn  *TxnResult // OpTxn
}

// DeleteResult is the answer to DeleteRange.
type DeleteResult struct {
	Deleted int64 // keys deleted
	Rev     int64 // the revision after it
}
