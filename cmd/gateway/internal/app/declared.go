package app

// ingressIDs are the ids of all that the module declares.
func (a *App) ingressIDs() (ids []string) {
	m := a.cfg.Module
	for i := range m.KafkaIngresses {
		ids = append(ids, m.KafkaIngresses[i].ID)
	}
	for i := range m.KinesisIngresses {
		ids = append(ids, m.KinesisIngresses[i].ID)
	}
	for i := range m.HTTPIngresses {
		ids = append(ids, m.HTTPIngresses[i].ID)
	}
	if p := m.PlaygroundIngress; p != nil {
		ids = append(ids, p.ID)
	}
	return ids
}
