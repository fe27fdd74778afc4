// Formal only: hwflow_mul_pair gives the products of what came in 3 cycles before.

`default_nettype none

module proof_mul_pair #(
    parameter int W   = 3,
    parameter int X_W = 4
) (
    input wire                  clk_i,
    input wire signed [  W-1:0] a_i,
    input wire signed [  W-1:0] b_i,
    input wire signed [X_W-1:0] x_i
);

    wire signed [W+X_W-1:0] ax, bx;

    hwflow_mul_pair #(.W(W), .X_W(X_W)) cell_under_proof (
        .clk_i(clk_i), .a_i(a_i), .b_i(b_i), .x_i(x_i), .ax_o(ax), .bx_o(bx)
    );

    logic signed [W+X_W-1:0] ax_reg [0:2], bx_reg [0:2];
    logic [2:0] valid_reg;

    initial valid_reg = '0;

    always_ff @(posedge clk_i) begin
        valid_reg <= {valid_reg[1:0], 1'b1};
        ax_reg[0] <= a_i * x_i;
        bx_reg[0] <= b_i * x_i;
        for (int i = 1; i < 3; i++) begin
            ax_reg[i] <= ax_reg[i-1];
            bx_reg[i] <= bx_reg[i-1];
        end
    end

    always @(posedge clk_i) begin
        if (valid_reg[2]) begin
            first: assert (ax == ax_reg[2]);
            second: assert (bx == bx_reg[2]);
        end
    end

endmodule

`default_nettype wire
