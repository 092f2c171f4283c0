package tokens

// Cached tells how many tokens v keeps, and their bytes as they are counted.
func (v *Verifier) Cached() (n, bytes int) {
	v.cache.mu.Lock()
	defer v.cache.mu.Unlock()
	return v.cache.lru.Len(), v.cache.bytes
}
