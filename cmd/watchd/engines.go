package main

import "github.com/watchkv/watchkv/backend/engines"

// engineNames are the engines there are, in the table's order.
func engineNames() (names []string) {
	for _, driver := range engines.All() {
		names = append(names, driver.Name)
	}
	return names
}
