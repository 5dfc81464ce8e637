package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	stategate "github.com/stategate/stategate/sdk/go"
)

// What travels. Other services use the same names, in whatever language they are written.
type (
	// AddToCart asks a cart for an item, and the stock for its share of it.
	AddToCart struct {
		Item     string `json:"item"`
		Quantity int    `json:"quantity"`
	}
	// Reserved is the stock's answer: less than what was asked for, or nothing.
	Reserved struct {
		Item     string `json:"item"`
		Quantity int    `json:"quantity"`
	}
	// Restock brings items into the stock: bought ones, or those of a cart that was given up.
	Restock struct {
		Quantity int `json:"quantity"`
	}
	// Checkout buys what is in the cart.
	Checkout struct{}
	// Abandon empties a cart that nobody touched for a while.
	Abandon struct{}
	// Receipt is what was bought.
	Receipt struct {
		User  string         `json:"user"`
		Items map[string]int `json:"items"`
	}
)

var (
	addToCart = stategate.JSON[AddToCart]("shop.types/AddToCart")
	reserved  = stategate.JSON[Reserved]("shop.types/Reserved")
	restock   = stategate.JSON[Restock]("shop.types/Restock")
	checkout  = stategate.JSON[Checkout]("shop.types/Checkout")
	abandon   = stategate.JSON[Abandon]("shop.types/Abandon")
	receipt   = stategate.JSON[Receipt]("shop.types/Receipt")
)

// patience is how long a cart waits for its user.
const patience = 30 * time.Minute

// basket is what a user has put into the cart.
var basket = stategate.ValueSpec[map[string]int]{Name: "basket", Type: stategate.JSON[map[string]int]("shop.types/Basket")}

// cart is one user's cart; the user is its id.
var cart = stategate.Function{
	Type:   "shop/cart",
	States: []stategate.State{basket},
	Call: stategate.Dispatch(
		stategate.On(addToCart, func(_ context.Context, in *stategate.Invocation, m AddToCart) error {
			if m.Quantity < 1 {
				in.Logger().Warn("nothing to add", "item", m.Item, "quantity", m.Quantity)
				return nil // an error would make the gateway call again, and it would not get better
			}
			in.Send(stategate.To("shop/stock", m.Item), addToCart.Of(m))
			in.SendAfterToken(patience, "abandon", in.Self(), abandon.Of(Abandon{})) // begins anew with each item
			return nil
		}),
		stategate.On(reserved, func(_ context.Context, in *stategate.Invocation, m Reserved) error {
			items, _, err := basket.Get(in)
			if err != nil || m.Quantity == 0 {
				return err
			}
			if items == nil {
				items = map[string]int{}
			}
			items[m.Item] += m.Quantity
			basket.Set(in, items)
			return nil
		}),
		stategate.On(checkout, func(_ context.Context, in *stategate.Invocation, _ Checkout) error {
			items, ok, err := basket.Get(in)
			if err != nil || !ok {
				return err
			}
			bought := receipt.Of(Receipt{User: in.Self().ID, Items: items})
			in.SendKafka("shop/receipts", stategate.KafkaRecord{Topic: "receipts", Key: []byte(in.Self().ID), Value: bought.Value})
			in.Cancel("abandon")
			basket.Delete(in)
			return nil
		}),
		stategate.On(abandon, func(_ context.Context, in *stategate.Invocation, _ Abandon) error {
			items, _, err := basket.Get(in)
			if err != nil {
				return err
			}
			for _, item := range slices.Sorted(maps.Keys(items)) {
				in.Send(stategate.To("shop/stock", item), restock.Of(Restock{Quantity: items[item]}))
			}
			basket.Delete(in)
			return nil
		}),
	),
}

// left is how many of an item are in the stock.
var left = stategate.ValueSpec[int32]{Name: "left", Type: stategate.Int}

// stock is one item of the shop, which is its id.
var stock = stategate.Function{
	Type:   "shop/stock",
	States: []stategate.State{left},
	Call: stategate.Dispatch(
		stategate.On(restock, func(_ context.Context, in *stategate.Invocation, m Restock) error {
			n, _, err := left.Get(in)
			if err != nil {
				return err
			}
			left.Set(in, n+int32(m.Quantity))
			return nil
		}),
		stategate.On(addToCart, func(_ context.Context, in *stategate.Invocation, m AddToCart) error {
			n, _, err := left.Get(in)
			if err != nil {
				return err
			}
			if _, ok := in.Caller(); !ok {
				return fmt.Errorf("a reservation of %q from nobody", m.Item)
			}
			got := min(int(n), m.Quantity)
			left.Set(in, n-int32(got))
			in.Reply(reserved.Of(Reserved{Item: m.Item, Quantity: got}))
			return nil
		}),
	),
}
