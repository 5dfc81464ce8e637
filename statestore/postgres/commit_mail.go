package postgres

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/stategate/stategate/statestore"
)

func (p *part) packMarks(all []statestore.PackMark) {
	var gone []int64
	var marks []keyed
	for i := range all {
		m := &all[i]
		if m.Remove {
			gone = append(gone, number(m.Number))
			continue
		}
		data := p.row(func(b []byte) []byte { return statestore.AppendNumbers(b, m.Finished) })
		marks = append(marks, keyed{key: binary.BigEndian.AppendUint64(nil, m.Number), data: data, number: number(m.Number)})
	}
	if len(gone) > 0 {
		slices.Sort(gone)
		p.add(`DELETE FROM {s}.pack WHERE number = ANY($1::bigint[])`, 0, gone)
		p.add(`DELETE FROM {s}.pack_mark WHERE number = ANY($1::bigint[])`, 0, gone)
	}
	each(settle(marks), func(_, finished [][]byte, numbers []int64, size int) {
		p.add(`INSERT INTO {s}.pack_mark (number, finished) SELECT * FROM unnest($1::bigint[], $2::bytea[])
ON CONFLICT (number) DO UPDATE SET finished = excluded.finished`, size, numbers, finished)
	})
}

// runs cuts messages into runs whose packed form is at most pipelineBytesMax, or one message.
func runs(all []statestore.Mail, emit func(run []statestore.Mail)) {
	chunks(len(all), func(i int) int { return all[i].Message.Size() }, func(from, to, _ int) { emit(all[from:to]) })
}

func (p *part) packs(all []statestore.Pack) {
	var numbers []int64
	var parts []int32
	var data [][]byte
	for i := range all {
		n := int32(0)
		runs(all[i].Messages, func(run []statestore.Mail) {
			numbers, parts, data = append(numbers, number(all[i].Number)), append(parts, n), append(data, statestore.AppendMails(nil, run))
			n++
		})
	}
	chunks(len(data), func(i int) int { return len(data[i]) }, func(from, to, size int) {
		p.add(`INSERT INTO {s}.pack (number, part, data) SELECT * FROM unnest($1::bigint[], $2::int[], $3::bytea[])`,
			size, numbers[from:to], parts[from:to], data[from:to])
	})
}

// mailTrims raises low, removes the chunks that are below it, and the mailboxes that have no chunk left. Chunks are looked for
// only below the highest number that is trimmed: a long mailbox is not walked through.
func (p *part) mailTrims(all []statestore.MailTrim) {
	if len(all) == 0 {
		return
	}
	rows, highest := make([]keyed, len(all)), int64(0)
	for i := range all {
		rows[i] = keyed{key: statestore.AddressKey(all[i].Address), number: number(all[i].Below)}
		highest = max(highest, rows[i].number)
	}
	keys, _, below := columns(settle(rows))
	p.add(`INSERT INTO {s}.mailbox (key, function, address, low) SELECT key, ''::bytea, ''::bytea, low FROM unnest($1::bytea[], $2::bigint[]) AS t(key, low)
ON CONFLICT (key) DO UPDATE SET low = greatest(mailbox.low, excluded.low)`, 0, keys, below)
	p.add(`DELETE FROM {s}.mail m WHERE m.key = ANY($1::bytea[]) AND m.first < $2
AND m.last < (SELECT b.low FROM {s}.mailbox b WHERE b.key = m.key)`, 0, keys, highest)
	p.add(`DELETE FROM {s}.mailbox b WHERE b.key = ANY($1::bytea[])
AND NOT EXISTS (SELECT 1 FROM {s}.mail m WHERE m.key = b.key)`, 0, keys)
}

// mailRow is a chunk on its way.
type mailRow struct {
	key, sizes, data             []byte
	first, last, messages, bytes int64
}

func (p *part) mail(all []statestore.MailChunk) {
	if len(all) == 0 {
		return
	}
	p.store.noMail.Store(false)
	var rows []mailRow
	boxes := make(map[string]int, len(all))
	for i := range all {
		if len(all[i].Messages) == 0 {
			continue
		}
		key := statestore.AddressKey(all[i].Address)
		boxes[string(key)] = i
		runs(all[i].Messages, func(run []statestore.Mail) { rows = append(rows, newMailRow(key, run)) })
	}
	heads := make([]keyed, 0, len(boxes))
	for key, i := range boxes {
		heads = append(heads, keyed{key: []byte(key), data: statestore.AppendAddress(nil, all[i].Address), number: int64(i)})
	}
	each(settle(heads), func(keys, addresses [][]byte, at []int64, size int) {
		functions := make([][]byte, len(at))
		for j, i := range at {
			functions[j] = statestore.FunctionKey(all[i].Address.Type)
		}
		p.add(`INSERT INTO {s}.mailbox (key, function, address, low)
SELECT key, function, address, 0 FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS t(key, function, address)
ON CONFLICT (key) DO NOTHING`, size, keys, functions, addresses)
	})
	slices.SortStableFunc(rows, func(a, b mailRow) int { return bytes.Compare(a.key, b.key) })
	chunks(len(rows), func(i int) int { return len(rows[i].data) + len(rows[i].sizes) }, func(from, to, size int) {
		p.mailRows(rows[from:to], size)
	})
}

func newMailRow(key []byte, run []statestore.Mail) mailRow {
	r := mailRow{key: key, first: number(run[0].Number), last: number(run[len(run)-1].Number), messages: int64(len(run))}
	for i := range run {
		r.bytes += int64(run[i].Message.Size())
	}
	r.sizes, r.data = statestore.AppendSizes(nil, run), statestore.AppendMails(nil, run)
	return r
}

func (p *part) mailRows(rows []mailRow, size int) {
	n := len(rows)
	keys, sizes, data := make([][]byte, n), make([][]byte, n), make([][]byte, n)
	first, last, messages, bytes := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	for i, r := range rows {
		keys[i], sizes[i], data[i] = r.key, r.sizes, r.data
		first[i], last[i], messages[i], bytes[i] = r.first, r.last, r.messages, r.bytes
	}
	p.add(`INSERT INTO {s}.mail (key, first, last, messages, bytes, sizes, data)
SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bytea[])`,
		size, keys, first, last, messages, bytes, sizes, data)
}
