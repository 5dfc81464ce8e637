package module

import (
	"strconv"

	yaml "go.yaml.in/yaml/v3"
)

func (p *parser) listKafkaEgress(k *KafkaEgress, spec *yaml.Node) {
	l := p.list("egress", k.ID, k.Place, p.kind)
	l.add("address", redact(k.Address), child(spec, "address"))
	name, semantic := under("deliverySemantic"), child(spec, "deliverySemantic")
	l.add(name("type"), string(k.Semantic), child(semantic, "type"))
	without := []string{"bootstrap.servers"}
	if k.Semantic == ExactlyOnce {
		at := child(semantic, "transactionTimeoutMillis")
		if at == nil {
			at = child(semantic, "transactionTimeout")
		}
		l.add(name("transactionTimeout"), inWords(k.TransactionTimeout, ""), at)
		without = append(without, "transaction.timeout.ms")
	}
	l.properties("properties", k.Properties, propertyValues(child(spec, "properties")), without...)
	l.done()
}

func (p *parser) listKinesisEgress(k *KinesisEgress, spec *yaml.Node) {
	l := p.list("egress", k.ID, k.Place, p.kind)
	l.aws(k.Region, k.Credentials, spec)
	l.amount("maxOutstandingRecords", strconv.Itoa(k.MaxOutstandingRecords), child(spec, "maxOutstandingRecords"))
	l.properties("clientConfigProperties", k.ClientProperties, propertyValues(child(spec, "clientConfigProperties")))
	l.done()
}
