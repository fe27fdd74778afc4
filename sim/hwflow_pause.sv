// Simulation only: a random bit that is 1 in percent_i percent of the cycles, the same in every simulator.

`default_nettype none

module hwflow_pause (
    input  wire         clk_i,
    input  wire         rst_ni,
    input  wire  [6:0]  percent_i,
    input  wire  [31:0] seed_i,
    output logic        pause_o
);

    // Marsaglia's xorshift32; zero is its only fixed point.
    logic [31:0] state_reg, a, b, c;

    assign a = state_reg ^ (state_reg << 13);
    assign b = a ^ (a >> 17);
    assign c = b ^ (b << 5);

    always_ff @(posedge clk_i) begin
        if (!rst_ni) state_reg <= (seed_i == 0) ? 32'd1 : seed_i;
        else state_reg <= c;
    end

    assign pause_o = (state_reg % 100) < {25'd0, percent_i};

endmodule

`default_nettype wire
