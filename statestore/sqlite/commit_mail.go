package sqlite

import (
	"github.com/stategate/stategate/statestore"
)

func (p *part) packMarks(all []statestore.PackMark) {
	for i := range all {
		m := &all[i]
		if m.Remove {
			p.exec(`DELETE FROM pack WHERE number = ?`, number(m.Number))
			p.exec(`DELETE FROM pack_mark WHERE number = ?`, number(m.Number))
			continue
		}
		p.buf = statestore.AppendNumbers(p.buf[:0], m.Finished)
		p.exec(`INSERT INTO pack_mark (number, finished) VALUES (?, ?) ON CONFLICT (number) DO UPDATE SET finished = excluded.finished`, number(m.Number), p.buf)
	}
}

// runs cuts messages into runs whose packed form is at most rowBytesMax, or one message.
func runs(all []statestore.Mail, emit func(run []statestore.Mail, bytes int)) {
	chunks(len(all), func(i int) int { return all[i].Message.Size() }, func(from, to, bytes int) { emit(all[from:to], bytes) })
}

func (p *part) packs(all []statestore.Pack) {
	for i := range all {
		n := int64(0)
		runs(all[i].Messages, func(run []statestore.Mail, _ int) {
			p.buf = statestore.AppendMails(p.buf[:0], run)
			p.exec(`INSERT INTO pack (number, part, data) VALUES (?, ?, ?)`, number(all[i].Number), n, p.buf)
			n++
		})
	}
}

// mailTrims raises low, removes the chunks that are below it, and the mailboxes that have no chunk left.
func (p *part) mailTrims(all []statestore.MailTrim) {
	for _, k := range sorted(len(all), func(i int) []byte { return statestore.AddressKey(all[i].Address) }) {
		below := number(all[k.at].Below)
		if p.exec(`UPDATE mailbox SET low = max(low, ?) WHERE key = ?`, below, k.key) == 0 {
			continue // it has no mail
		}
		p.exec(`DELETE FROM mail WHERE key = ?1 AND first < ?2 AND last < ?2`, k.key, below)
		p.exec(`DELETE FROM mailbox WHERE key = ?1 AND NOT EXISTS (SELECT 1 FROM mail WHERE key = ?1)`, k.key)
	}
}

func (p *part) mail(all []statestore.MailChunk) {
	for _, k := range sorted(len(all), func(i int) []byte { return statestore.AddressKey(all[i].Address) }) {
		chunk := &all[k.at]
		if len(chunk.Messages) == 0 {
			continue
		}
		p.buf = statestore.AppendAddress(p.buf[:0], chunk.Address)
		p.exec(`INSERT INTO mailbox (key, low, address) VALUES (?, 0, ?) ON CONFLICT DO NOTHING`, k.key, p.buf)
		runs(chunk.Messages, func(run []statestore.Mail, bytes int) {
			p.buf = statestore.AppendMails(p.buf[:0], run)
			p.exec(`INSERT INTO mail (key, first, last, messages, bytes, sizes, data) VALUES (?, ?, ?, ?, ?, ?, ?)`,
				k.key, number(run[0].Number), number(run[len(run)-1].Number), int64(len(run)), int64(bytes), statestore.AppendSizes(nil, run), p.buf)
		})
	}
}
